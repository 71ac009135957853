import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startDaemon, type Daemon } from '../../node/index.js'
import { createNetworkKey } from '../../replication/index.js'
import { daemonSettings, silentLogger } from '../support/daemon-settings.js'
import { runMillrace, type CommandResult } from '../support/run-millrace.js'
import { until } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

t.setTimeout(120_000)

const key = createNetworkKey()

interface Report {
  readonly alarms: readonly { readonly kind: string; readonly advice: string; readonly stream: string | null }[]
}

/** What an operator at the machine of a node sees. */
class Machine {
  readonly data: string
  #daemon: Daemon | undefined

  constructor(t: Test) {
    this.data = temporaryDirectory(t)
    t.teardown(() => this.stop())
  }

  async start(...peers: readonly Machine[]): Promise<void> {
    const settings = daemonSettings(this.data)
    const swarm = { ...settings.swarm, key, headsIntervalMs: 300, peers: peers.flatMap((peer) => peer.addresses) }
    this.#daemon = await startDaemon({ settings: { ...settings, swarm }, logger: silentLogger, version: '0' })
  }

  get addresses(): readonly string[] {
    return this.#daemon?.addresses.swarm ?? []
  }

  async stop(): Promise<void> {
    await this.#daemon?.close()
    this.#daemon = undefined
  }

  run(command: string, ...rest: readonly string[]): Promise<CommandResult> {
    return runMillrace([...command.split(' '), '-d', this.data, ...rest])
  }

  async publish(payload: string) {
    return this.run('publish', '-t', 'x', JSON.stringify(payload))
  }

  async payloads(): Promise<unknown[]> {
    const { out } = await this.run('query -j', 'FROM allEvents')
    const lines = out.split('\n').filter((line) => line.includes('"type":"event"'))
    return lines.map((line) => (JSON.parse(line) as { payload: unknown }).payload)
  }

  async alarms(): Promise<Report['alarms']> {
    const { out } = await this.run('peers -j')
    return (JSON.parse(out) as { result: Report }).result.alarms
  }

  async hasAlarm(kind: string): Promise<boolean> {
    return (await this.alarms()).some((alarm) => alarm.kind === kind)
  }
}

t.test(
  'a node that was set back publishes no more until an epoch is begun, and loses nothing that others have',
  async (t) => {
    const [node, other] = [new Machine(t), new Machine(t)]
    await node.start()
    await node.publish('before the backup')
    await node.stop()
    const backup = join(temporaryDirectory(t), 'backup')
    cpSync(node.data, backup, { recursive: true })
    await node.start()
    await other.start(node)
    await node.publish('after the backup')
    await until(async () => (await other.payloads()).length === 2)
    await node.stop()
    rmSync(node.data, { recursive: true })
    cpSync(backup, node.data, { recursive: true })

    await node.start(other)
    await until(() => node.hasAlarm('own-history'))
    const refused = await node.publish('too early')
    t.not(refused.code, 0)
    t.match(refused.err, /older backup/)
    const [alarm] = await node.alarms()
    t.match(alarm?.advice, /millrace identity epoch/)
    t.same(await node.payloads(), ['before the backup'], 'reading goes on')

    t.equal((await node.run('identity epoch', '--yes')).code, 0)
    t.equal((await node.publish('in the new epoch')).code, 0)
    const all = ['before the backup', 'after the backup', 'in the new epoch']
    for (const machine of [node, other]) await until(async () => (await machine.payloads()).length === 3)
    for (const machine of [node, other]) t.same(await machine.payloads(), all)
    t.same(await node.alarms(), [])
  },
)

t.test('two nodes with one key are found out, though their histories are equally long', async (t) => {
  const [first, second, witness] = [new Machine(t), new Machine(t), new Machine(t)]
  await first.start()
  await first.publish('common')
  await first.stop()
  cpSync(first.data, second.data, { recursive: true })
  await witness.start()
  await first.start(witness)
  await first.publish('one')
  await until(async () => (await witness.payloads()).length === 2)
  await first.stop()
  await second.start()
  await second.publish('two')
  await second.stop()
  await second.start(witness)
  await until(() => witness.hasAlarm('fork'))
  await until(() => second.hasAlarm('fork'))
  const refused = await second.publish('three')
  t.not(refused.code, 0)
  t.match(refused.err, /key is in use elsewhere/)
  t.same(await witness.payloads(), ['common', 'one'], 'what was held stays')
  t.match((await witness.alarms())[0]?.advice, /identity renew/)
})
