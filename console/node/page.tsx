import type { JSX } from 'preact'
import type { Client, SwarmNodeReport } from '../../client/index.js'
import { milliseconds } from '../figures/numbers.js'
import { shortNode } from '../figures/names.js'
import { duration, minute } from '../figures/times.js'
import { useFacts } from '../frame/node-facts.js'
import { usePolled } from '../live/use-polled.js'
import { CopyButton } from '../parts/copy-button.js'
import { Loaded } from '../parts/loaded.js'
import { Log } from './log.js'
import './node.css'
import { Resources } from './resources.js'
import { RunningQueries } from './running-queries.js'
import { Settings } from './settings.js'

/** "What is this machine, and how is it set up?" */
export function NodePage(): JSX.Element {
  return (
    <div class="cols node-cols">
      <div class="stack">
        <Identity />
        <Resources />
        <RunningQueries />
      </div>
      <div class="stack">
        <Connections />
        <Settings />
        <Log />
      </div>
    </div>
  )
}

async function loadIdentity(client: Client, signal: AbortSignal) {
  const [identity, info, readiness, topics] = await Promise.all([
    client.identity(signal),
    client.nodeInfo(signal),
    client.readiness(signal),
    client.topics(signal),
  ])
  return { identity, info, readiness, topics }
}

function Identity(): JSX.Element {
  const polled = usePolled('identity', loadIdentity)
  return (
    <section class="sheet" aria-label="This node">
      <div class="head">
        <h2>This node</h2>
      </div>
      <Loaded polled={polled} what="who this node is">
        {({ identity, info, readiness, topics }) => (
          <dl class="kv pad">
            <dt>ready</dt>
            <dd>{readiness.ready ? 'yes' : <b>{readiness.reasons.join(' ')}</b>}</dd>
            <dt>up for</dt>
            <dd>{duration(info.uptime.secs * 1000)}</dd>
            <dt>version</dt>
            <dd>{info.version}</dd>
            <dt>node id</dt>
            <dd class="row">
              <span class="m grow">{identity.nodeId}</span>
              <CopyButton text={identity.nodeId} />
            </dd>
            <dt>peer id</dt>
            <dd class="m">{identity.peerId}</dd>
            <dt>epoch</dt>
            <dd>{identity.epoch}</dd>
            <dt>topics</dt>
            <dd>{topics.map(({ name, active }) => (active ? `${name} (in use)` : name)).join(', ')}</dd>
          </dl>
        )}
      </Loaded>
    </section>
  )
}

function Connections(): JSX.Element {
  const facts = useFacts()
  return (
    <section class="sheet" aria-label="Connections">
      <div class="head">
        <h2>Connections</h2>
      </div>
      <Loaded polled={facts} what="connections">
        {({ swarm }) => (
          <>
            <dl class="kv pad">
              <dt>reached at</dt>
              <dd class={swarm.addresses.length === 0 ? '' : 'm'}>
                {swarm.addresses.length === 0 ? 'nowhere: it listens to no other nodes' : swarm.addresses.join(' ')}
              </dd>
            </dl>
            {swarm.nodes.length === 0 ? (
              <p class="pad q">No other node is known.</p>
            ) : (
              <NodeTable nodes={swarm.nodes} />
            )}
          </>
        )}
      </Loaded>
    </section>
  )
}

function NodeTable({ nodes }: { nodes: readonly SwarmNodeReport[] }): JSX.Element {
  return (
    <div class="wide" tabIndex={0} role="region" aria-label="Known nodes">
      <table>
        <thead>
          <tr>
            <th scope="col">node</th>
            <th scope="col">address</th>
            <th scope="col">link</th>
          </tr>
        </thead>
        <tbody>
          {nodes.map((node) => (
            <tr key={node.nodeId ?? node.addresses.join(' ')}>
              <td class="b nw">{node.nodeId === null ? 'unknown' : shortNode(node.nodeId)}</td>
              <td class="m">{node.addresses[0] ?? 'none'}</td>
              <td>{linkText(node)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function linkText({ state, since, roundTripMs, error }: SwarmNodeReport): string {
  if (state === 'connected') return roundTripMs === null ? 'connected' : milliseconds(roundTripMs)
  return `${error ?? state}, since ${minute(since / 1000)}`
}
