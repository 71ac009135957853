import { readFile } from 'node:fs/promises'
import t from 'tap'
import { Client } from '../../client/index.js'
import { nodeTransport } from '../../client/node.js'
import { keepPicture, noBrowser, openBrowser, openPage, settle } from '../support/browser.js'
import { DaemonProcess } from '../support/daemon.js'

const DESK = { width: 1280, height: 900 }

/** Between the regular prunes there is one whenever a block is full. */
const CONFIG = `
storage: { block: { maxEvents: 10 }, pruneInterval: 600s }
swarm: { mdns: false }
eventRouting:
  # Where things go.
  routes:
    - { from: "'aged'", into: aged }
    - { from: "'counted'", into: counted }
    - { from: "'many'", into: many }
  streams:
    aged: { maxAge: 5s }
    counted: { maxEvents: 15 }
`

async function testOperating(): Promise<void> {
  t.setTimeout(600_000)
  const daemon = await DaemonProcess.start({ config: CONFIG })
  t.teardown(() => daemon.close())
  const client = new Client(nodeTransport({ socketPath: daemon.socket }), {
    appId: 'com.example.test',
    displayName: 'test',
    version: '1',
  })
  t.teardown(() => {
    client.close()
  })
  const browser = await openBrowser()
  t.teardown(() => browser.close())
  const origin = daemon.url
  const publish = (tag: string, events: number) =>
    client.publish(Array.from({ length: events }, (_, n) => ({ tags: [tag], payload: { n } })))
  const streamOf = async (name: string) => (await client.streams()).find((stream) => stream.name === name)!

  await publish('counted', 22)
  await publish('many', 1300)

  await t.test('blocks look as the daemon says they will fare, and fare so', { timeout: 120_000 }, async (t) => {
    const { page, faults } = await openPage(browser, origin, { viewport: DESK })
    await publish('aged', 35)
    const { stream } = await streamOf('aged')
    await page.goto(`${origin}/ui#streams?stream=${encodeURIComponent(stream)}`)
    const block = (words: RegExp) => page.locator('.block-picture').getByRole('button', { name: words })
    await block(/Goes at the next prune/)
      .nth(2)
      .waitFor()
    t.equal(await block(/Goes at the next prune/).count(), 3)
    await block(/^Block 3: offsets 30 to 34, 5 events, .* open\. Stays: it is not full\.$/).waitFor()
    await page.getByText('3 blocks: 30 events').waitFor()
    await keepPicture(page, 'streams-goes')
    // Now they are beyond the limit, and not only at the next prune.
    await page.getByText(/^3 of 3 blocks go$/).waitFor()
    await publish('aged', 5)
    await block(/^Block 0:/).waitFor({ state: 'detached' })
    t.equal((await streamOf('aged')).firstOffset, 30, 'what was shown to go has gone')
    t.equal(await block(/^Block 3: offsets 30 to 39/).count(), 1, 'what was shown to stay is still there')
    t.strictSame(faults, [])
    await page.context().close()
  })

  await t.test('a block with an event inside its limit stays, by key and by tap, and as a table', async (t) => {
    const { page, faults } = await openPage(browser, origin, { viewport: DESK })
    const { stream } = await streamOf('counted')
    await page.goto(`${origin}/ui#streams`)
    await page.locator('button.lane', { hasText: 'counted' }).press('Enter')
    await page.waitForURL((url) => url.hash.includes(encodeURIComponent(stream)))
    const first = page.locator('.block').first()
    t.match(
      await first.getAttribute('aria-label'),
      /^Block 0: offsets 0 to 9, .*Stays: an event is inside maxEvents\.$/,
    )
    await page.getByText('maxEvents 15 decides').waitFor()
    await first.press('ArrowRight')
    await page.locator('.block.chosen:focus').waitFor()
    const read = page.locator('.read [role="status"]')
    await read.getByText('offsets 10 to 19').waitFor()
    await page.getByRole('button', { name: 'Older block' }).click()
    await read.getByText('offsets 0 to 9').waitFor()
    await page.getByText('Blocks as a table').click()
    const report = await client.blocks(stream)
    t.equal(await page.locator('.block-table tbody tr').count(), report?.blocks.length)
    await page.getByRole('button', { name: 'Bytes', exact: true }).click()
    await page.waitForURL(/height=bytes/)
    await keepPicture(page, 'streams-held')
    t.strictSame(faults, [])
    await page.context().close()
  })

  await t.test('of many blocks both ends are shown, and the middle when it is opened', async (t) => {
    const { page } = await openPage(browser, origin, { viewport: DESK })
    const { stream } = await streamOf('many')
    await page.goto(`${origin}/ui#streams?stream=${encodeURIComponent(stream)}`)
    await page.getByText('… 90 blocks …').waitFor()
    t.equal(await page.locator('.block').count(), 40)
    await keepPicture(page, 'streams-folded')
    await page.getByRole('button', { name: 'Show the 90 blocks between' }).click()
    await page.locator('.block').nth(129).waitFor()
    await page.context().close()
  })

  await t.test('guests try a draft; operators apply it, and are asked before events go', async (t) => {
    const { page, faults } = await openPage(browser, origin, { viewport: DESK }, ['Failed to load resource'])
    await page.goto(`${origin}/ui#routing?tags=${encodeURIComponent('["counted"]')}`)
    const area = page.getByRole('textbox', { name: 'Draft of routes and limits' })
    await area.waitFor()
    t.match(await area.inputValue(), /^# Where things go\.\n/)
    await page.getByText('Without the token of an operator you can only look.').waitFor()
    const { token } = await client.operatorToken()
    await page.getByLabel('Token of an operator').fill(token)
    await page.getByRole('button', { name: 'Use token' }).click()
    await page.getByText('Nothing is changed.').waitFor()
    const before = await area.inputValue()
    await area.fill(before.replace('counted: { maxEvents: 15 }', 'counted: { maxEvent: 5 }'))
    await page.getByRole('list', { name: 'Errors' }).getByText('maxEvents').waitFor()
    await page.getByRole('button', { name: /^Show line/ }).click()
    await keepPicture(page, 'routing-error')
    t.equal(await page.getByRole('button', { name: 'Apply' }).isDisabled(), true)
    await area.fill(
      before.replace('counted: { maxEvents: 15 }', 'counted: { maxEvents: 5 }').replace('into: counted', 'into: moved'),
    )
    await page.getByText('Goes into moved.').waitFor()
    await page.getByText(/^22 events of the newest/).waitFor()
    await page.getByText('events would be deleted at once.').waitFor()
    await keepPicture(page, 'routing-draft')
    await page.getByRole('button', { name: 'Apply' }).click()
    await page.getByRole('button', { name: /^Really delete/ }).click()
    await page.getByText('Applied.').waitFor()
    t.match(await readFile(daemon.configFile, 'utf8'), /# Where things go\.\n[^]*into: moved/)
    t.equal((await client.route(['counted'], 'com.example.test')).stream, 'moved')
    t.equal((await streamOf('counted')).events < 22, true)
    t.notMatch(page.url(), token.slice(0, 8))
    t.strictSame(faults, [])
    await page.context().close()
  })

  await t.test('settings have their source, and an operator ends the query of another app', async (t) => {
    const { page, faults } = await openPage(browser, origin, { viewport: DESK })
    const { token } = await client.operatorToken()
    await page.goto(`${origin}/ui?access_token=${token}#node`)
    const settings = page.getByRole('region', { name: 'Settings' })
    await settings.getByText('storage.block.maxEvents').waitFor()
    await settings.getByText('millrace.yml, line 2').first().waitFor()
    t.equal(await settings.getByText('api.limits').count(), 0)
    await settings.getByRole('button', { name: 'All' }).click()
    await settings.getByRole('textbox').fill('pruneint')
    t.equal(await settings.locator('tbody tr').count(), 1)
    const ended = t.rejects(readOn(client), /ended/)
    await page.getByRole('button', { name: 'End the subscribe of com.example.test' }).click()
    await page.getByRole('button', { name: 'Really end the subscribe of com.example.test' }).click()
    await ended
    t.notMatch(page.url(), 'access_token', 'the token does not stay in the address')
    await page.reload()
    await settle(page)
    t.equal(await page.getByLabel('Token of an operator').count(), 0, 'the tab knows it still')
    t.strictSame(faults, [])
    await page.context().close()
  })
}

/** Follows until somebody ends it. */
async function readOn(client: Client): Promise<void> {
  for await (const line of client.subscribe('FROM allEvents', { signal: AbortSignal.timeout(60_000) })) {
    if (line.type === 'diagnostic') throw new Error(line.message)
  }
  throw new Error('it came to its end')
}

const reason = noBrowser()
if (reason === false) await testOperating()
else t.test('the page operates a node in a browser', { skip: reason }, () => undefined)
