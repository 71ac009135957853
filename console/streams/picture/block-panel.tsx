import type { JSX } from 'preact'
import type { BlocksReport, StreamReport } from '../../../client/index.js'
import { bytes, count, counted } from '../../figures/numbers.js'
import { minute } from '../../figures/times.js'
import { choose, useChoice } from '../../frame/address.js'
import { usePolled } from '../../live/use-polled.js'
import { Choice } from '../../parts/choice.js'
import { Loaded } from '../../parts/loaded.js'
import { Answers } from './answers.js'
import { BlockPicture } from './block-picture.js'
import { blockFacts, blockName, fateSentence } from './block-words.js'
import { fateWords, type Height } from './drawn-block.js'
import './picture.css'
import { loadBlocks, type ShownBlocks } from './shown-blocks.js'

const HEIGHTS = [
  ['events', 'Events'],
  ['bytes', 'Bytes'],
] as const

/** The picture of one stream, and what it says in words. @param props.name of the stream, for people */
export function BlockPanel({ stream, name }: { stream: StreamReport; name: string }): JSX.Element {
  const id = stream.stream
  const wantsAll = useChoice('blocks') === 'all'
  const polled = usePolled(`blocks ${id} ${String(wantsAll)}`, async (client, signal) => ({
    shown: await loadBlocks(client, id, wantsAll, signal),
  }))
  return (
    <Loaded polled={polled} what="blocks">
      {({ shown }) =>
        shown === undefined ? (
          <p class="pad q">This node has nothing of it.</p>
        ) : (
          <BlocksOf stream={stream} name={name} shown={shown} nowMs={polled.atMs ?? Date.now()} />
        )
      }
    </Loaded>
  )
}

function BlocksOf(props: { stream: StreamReport; name: string; shown: ShownBlocks; nowMs: number }): JSX.Element {
  const { stream, name, shown, nowMs } = props
  const { report } = shown
  const height: Height = useChoice('height') === 'bytes' ? 'bytes' : 'events'
  const wanted = Number(useChoice('block') || Number.NaN)
  const chosen = report.blocks.find(({ firstOffset }) => firstOffset === wanted)
  const show = (firstOffset: number): void => {
    choose({ block: String(firstOffset) })
  }
  const read = chosen ?? report.blocks.at(-1)
  const step = (by: 1 | -1) => (): void => {
    const next = read === undefined ? undefined : report.blocks[report.blocks.indexOf(read) + by]
    if (next !== undefined) show(next.firstOffset)
  }
  return (
    <>
      <div class="row bar-row">
        <FoldButton stream={stream} shown={shown} />
        <span class="grow" />
        <span class="s">height</span>
        <Choice
          label="Height shows"
          options={HEIGHTS}
          chosen={height}
          onChoose={(value) => {
            choose({ height: value })
          }}
        />
      </div>
      <div class="pad">
        <BlockPicture
          name={name}
          shown={shown}
          limits={stream.retention}
          height={height}
          chosen={chosen?.firstOffset}
          nowMs={nowMs}
          onChoose={show}
          onOpenFold={openFold}
        />
      </div>
      <div class="row bar-row read">
        <button class="btn" type="button" aria-label="Older block" onClick={step(-1)}>
          ‹
        </button>
        <button class="btn" type="button" aria-label="Newer block" onClick={step(1)}>
          ›
        </button>
        <span class="grow" role="status">
          {read === undefined ? (
            'No block.'
          ) : (
            <>
              <b>{blockName(read)}</b>, {blockFacts(read, nowMs)}. <b>{fateSentence(read, nowMs)}</b>
            </>
          )}
        </span>
      </div>
      <Answers stream={stream} report={report} nowMs={nowMs} />
      <BlockTable report={report} nowMs={nowMs} />
    </>
  )
}

function openFold(): void {
  choose({ blocks: 'all' })
}

/** Opens the fold, or says what is shown of very many blocks. */
function FoldButton({ stream, shown }: { stream: StreamReport; shown: ShownBlocks }): JSX.Element | null {
  const { report, fold } = shown
  if (fold !== undefined) {
    return (
      <button class="btn" type="button" onClick={openFold}>
        Show the {fold.blocks === undefined ? '' : `${count(fold.blocks)} `}blocks between
      </button>
    )
  }
  if (!report.more) return null
  return (
    <>
      <button
        class="btn"
        type="button"
        onClick={() => {
          choose({ blocks: '' })
        }}
      >
        Show both ends
      </button>
      <span class="q">
        the newest {count(report.blocks.length)} of {counted(stream.blocks, 'block')}
      </span>
    </>
  )
}

function BlockTable({ report, nowMs }: { report: BlocksReport; nowMs: number }): JSX.Element {
  return (
    <details class="block-table">
      <summary>Blocks as a table</summary>
      <div class="wide" tabIndex={0} role="region" aria-label="Blocks">
        <table>
          <thead>
            <tr>
              <th scope="col">block</th>
              <th scope="col" class="r">
                first offset
              </th>
              <th scope="col" class="r">
                events
              </th>
              <th scope="col" class="r">
                bytes
              </th>
              <th scope="col">from</th>
              <th scope="col">to</th>
              <th scope="col">what becomes of it</th>
            </tr>
          </thead>
          <tbody>
            {report.blocks.map((block) => (
              <tr key={block.firstOffset}>
                <td>{count(block.number)}</td>
                <td class="r">{count(block.firstOffset)}</td>
                <td class="r">{count(block.events)}</td>
                <td class="r">{bytes(block.storedBytes)}</td>
                <td class="nw">{block.oldestTimestamp === null ? '–' : minute(block.oldestTimestamp / 1000, nowMs)}</td>
                <td class="nw">{block.newestTimestamp === null ? '–' : minute(block.newestTimestamp / 1000, nowMs)}</td>
                <td>{fateWords(block)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  )
}
