import type { JSX } from 'preact'
import { bytes, count, percent } from '../figures/numbers.js'
import { usePolled } from '../live/use-polled.js'
import { useRates } from '../live/use-rates.js'
import { Loaded } from '../parts/loaded.js'
import { parseFigures } from './figures.js'

/** One resource: how much is used, and of how much where that is known. */
interface Use {
  readonly name: string
  readonly part: number | undefined
  readonly text: string
}

const CPU = 'process_cpu_seconds_total'

/** What the daemon takes of its machine. */
export function Resources(): JSX.Element {
  const polled = usePolled('figures', async (client, signal) => parseFigures(await client.metrics(signal)))
  const cpu = useRates(new Map([...(polled.value ?? [])].filter(([name]) => name === CPU)), polled.atMs).get(CPU)
  return (
    <section class="sheet" aria-label="Resources">
      <div class="head">
        <h2>Resources</h2>
      </div>
      <Loaded polled={polled} what="figures">
        {(figures) => (
          <div class="pad stack tight">
            {usesOf(figures, cpu).map(({ name, part, text }) => (
              <div key={name} class="use">
                <span>{name}</span>
                {part === undefined ? (
                  <span />
                ) : (
                  <div class="meter">
                    <i style={{ width: percent(Math.min(1, part)).replace(' ', '') }} />
                  </div>
                )}
                <span class="r">{text}</span>
              </div>
            ))}
          </div>
        )}
      </Loaded>
    </section>
  )
}

function usesOf(figures: ReadonlyMap<string, number>, cpu: number | undefined): readonly Use[] {
  const get = (name: string): number | undefined => figures.get(name)
  const free = get('millrace_disk_free_bytes')
  const size = get('millrace_disk_size_bytes')
  const open = get('process_open_fds')
  const most = get('process_max_fds')
  return [
    { name: 'CPU', part: cpu, text: cpu === undefined ? '–' : `${percent(cpu)} of one core` },
    { name: 'memory', part: undefined, text: bytes(get('process_resident_memory_bytes')) },
    {
      name: 'disk',
      part: free === undefined || size === undefined ? undefined : 1 - free / size,
      text: `${bytes(free)} of ${bytes(size)} free`,
    },
    { name: 'events on disk', part: undefined, text: bytes(get('millrace_store_disk_bytes')) },
    {
      name: 'files open',
      part: open === undefined || most === undefined ? undefined : open / most,
      text: most === undefined ? count(open) : `${count(open)} of ${count(most)}`,
    },
    { name: 'subscriptions', part: undefined, text: count(get('millrace_subscriptions_open')) },
    { name: 'queries', part: undefined, text: `${count(get('millrace_queries_running'))} running` },
  ]
}
