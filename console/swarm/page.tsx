import type { JSX } from 'preact'
import { useMemo } from 'preact/hooks'
import type { Client } from '../../client/index.js'
import { bytes, count, rate } from '../figures/numbers.js'
import { useFacts, type NodeFacts } from '../frame/node-facts.js'
import { usePolled } from '../live/use-polled.js'
import { useRates } from '../live/use-rates.js'
import { Blank } from '../parts/blank.js'
import { Loaded } from '../parts/loaded.js'
import { Alarms, gapsOf } from './alarms.js'
import { LinkMap, MOST_ON_MAP } from './link-map.js'
import { Matrix } from './matrix.js'
import { nodesOf, verdict, type SwarmNode } from './nodes.js'
import './swarm.css'

/** "Is everything all right, and if not, what do I do?" */
export function SwarmPage(): JSX.Element {
  const facts = useFacts()
  return (
    <Loaded polled={facts} what="the swarm">
      {(value) => <Swarm facts={value} atMs={facts.atMs ?? Date.now()} />}
    </Loaded>
  )
}

function Swarm({ facts, atMs }: { facts: NodeFacts; atMs: number }): JSX.Element {
  const { swarm, alarms } = facts
  const holdings = usePolled('holdings', loadHoldings)
  const nodes = nodesOf(swarm, atMs)
  const gaps = gapsOf(alarms)
  const readiness = holdings.value?.readiness
  return (
    <>
      <section class="verdict" aria-label="Verdict">
        <div class="grow">
          <p class="says">{verdict(nodes, swarm.swarm, alarms.length)}</p>
          <p class="q">
            {readiness === undefined
              ? ''
              : readiness.ready
                ? 'This node does all its work.'
                : readiness.reasons.join(' ')}
          </p>
        </div>
        <Figures holdings={holdings.value} atMs={holdings.atMs} />
      </section>
      <Alarms alarms={alarms} />
      {!swarm.swarm || nodes.length === 1 ? <Alone isSwarm={swarm.swarm} /> : null}
      <section class={nodes.length > 1 ? 'cols swarm-cols' : 'cols'}>
        {nodes.length === 1 ? null : nodes.length <= MOST_ON_MAP ? (
          <LinkMap nodes={nodes} />
        ) : (
          <LinkList nodes={nodes} />
        )}
        {swarm.streams.length === 0 ? null : <Matrix nodes={nodes} facts={{ swarm, gaps }} />}
      </section>
    </>
  )
}

type Holdings = Awaited<ReturnType<typeof loadHoldings>>

async function loadHoldings(client: Client, signal: AbortSignal) {
  const [streams, readiness] = await Promise.all([client.streams(signal), client.readiness(signal)])
  return { streams, readiness }
}

function Figures({ holdings, atMs }: { holdings: Holdings | undefined; atMs: number | undefined }): JSX.Element {
  const streams = holdings?.streams
  const written = useMemo(
    () => new Map(streams === undefined ? [] : [['all', streams.reduce((sum, { nextOffset }) => sum + nextOffset, 0)]]),
    [streams],
  )
  const perSecond = useRates(written, atMs).get('all')
  const figures = [
    [count(streams?.length), 'streams'],
    [count(streams?.reduce((sum, { events }) => sum + events, 0)), 'events here'],
    [rate(perSecond), 'coming in'],
    [bytes(streams?.reduce((sum, { storedBytes }) => sum + storedBytes, 0)), 'on disk here'],
  ] as const
  return (
    <div class="figs">
      {figures.map(([figure, name]) => (
        <div key={name}>
          <b>{figure}</b>
          <span>{name}</span>
        </div>
      ))}
    </div>
  )
}

function Alone({ isSwarm }: { isSwarm: boolean }): JSX.Element {
  if (isSwarm) {
    return (
      <section class="sheet">
        <Blank title="No other node has been met">
          Nodes with the same key on this network join by themselves; others by their address in swarm.peers.
        </Blank>
      </section>
    )
  }
  return (
    <section class="sheet">
      <Blank title="This node is alone" command="millrace swarm keygen">
        It has no swarm.key. Nodes that have the same one hold the same events.
      </Blank>
    </section>
  )
}

/** In place of the map where there are many: by state, the troubled first. */
function LinkList({ nodes }: { nodes: readonly SwarmNode[] }): JSX.Element {
  const groups = [
    ['no link', nodes.filter(({ state }) => state === 'off')],
    ['slow', nodes.filter(({ state }) => state === 'slow')],
    ['on', nodes.filter(({ state }) => state === 'on')],
  ] as const
  return (
    <section class="sheet" aria-label="Links">
      <div class="head">
        <h2>Links</h2>
      </div>
      {groups.map(([title, members]) =>
        members.length === 0 ? null : (
          <details key={title} class="pad" open={title !== 'on'}>
            <summary>
              {members.length} {title}
            </summary>
            <ul>
              {members.map(({ key, name, words }) => (
                <li key={key}>
                  <b>{name}</b> <span class="q">{words}</span>
                </li>
              ))}
            </ul>
          </details>
        ),
      )}
    </section>
  )
}
