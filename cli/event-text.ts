import { payloadText, type AnswerEvent } from '../client/index.js'
import type { Environment } from '../config/index.js'
import { paint, type Output } from './terminal.js'
import { formatTime } from './units.js'
import { visible } from './visible.js'

/**
 * A line of an answer for people: time, place, tags, payload (as it was written). Diagnostics go elsewhere; of the
 * closing offsets nobody needs to know.
 */
export function renderEvent(line: string, event: AnswerEvent, output: Output, env: Environment): string {
  const payload = output.isTerminal ? visible(payloadText(line)) : payloadText(line)
  const mark = event.type === 'antiEvent' ? paint(output, env, 'red', 'withdrawn ') : ''
  if (event.timestamp === 0) return `${mark}${payload}\n`
  const stream = `${event.stream.slice(0, 6)}…${event.stream.slice(43)}`
  const place = paint(output, env, 'dim', `${formatTime(event.timestamp)} ${stream}/${String(event.offset)}`)
  const tags = paint(output, env, 'green', visible(event.tags.join(' ')))
  return `${mark}${place}  ${tags}${tags === '' ? '' : '  '}${payload}\n`
}
