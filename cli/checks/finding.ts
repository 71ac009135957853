import type { Environment } from '../../config/index.js'
import { paint, type Output } from '../terminal.js'

/** What one check has found. */
export interface Finding {
  /** What was looked at, in a word or two. */
  readonly check: string
  /** `warning`: it works, but not as it should; `problem`: something does not work. */
  readonly state: 'ok' | 'warning' | 'problem'
  readonly found: string
  /** What to do; absent when all is well. */
  readonly advice?: string
}

export function ok(check: string, found: string): Finding {
  return { check, state: 'ok', found }
}

export function warning(check: string, found: string, advice: string): Finding {
  return { check, state: 'warning', found, advice }
}

export function problem(check: string, found: string, advice: string): Finding {
  return { check, state: 'problem', found, advice }
}

const STYLES = { ok: 'green', warning: 'yellow', problem: 'red' } as const

/** A line for each, below it what to do. */
export function renderFindings(findings: readonly Finding[], output: Output, env: Environment): string {
  const width = Math.max(...findings.map(({ check }) => check.length))
  const indent = ' '.repeat('warning'.length + width + 4)
  return findings
    .map(({ check, state, found, advice }) => {
      const mark = paint(output, env, STYLES[state], state.padEnd('warning'.length))
      const todo = advice === undefined ? '' : `${indent}what to do: ${advice}\n`
      return `${mark}  ${check.padEnd(width)}  ${found.replaceAll('\n', `\n${indent}`)}\n${todo}`
    })
    .join('')
}
