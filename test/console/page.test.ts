import { setTimeout as sleep } from 'node:timers/promises'
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { Client, fetchTransport } from '../../client/index.js'
import { createNetworkKey } from '../../replication/index.js'
import { keepPicture, noBrowser, openBrowser, openPage, settle } from '../support/browser.js'
import { DaemonProcess } from '../support/daemon.js'

const PAGES = ['swarm', 'streams', 'events', 'query', 'routing', 'node'] as const
const DESK = { width: 1280, height: 900 }
const TABLET = { width: 820, height: 1180 }

/** A machine under load takes a multiple of the usual; milliseconds. */
const PATIENT = { timeout: 120_000 }

/** What chromium says about requests that were to fail, or were left. */
const FAILED_REQUEST = 'Failed to load resource'

/** Sent as tags and payloads: they must stay texts. */
const HOSTILE = [
  '<script>document.title="taken"</script>',
  '"><img src=x onerror=alert(1)>',
  '\u202Eevil\u202C',
  'x'.repeat(10_000),
]

/** Of three nodes with 60 events in `vision` each, one of which has 60 in `telemetry` and a hostile one. */
const ALL_EVENTS = 241

const key = createNetworkKey()

function configOf(listen: readonly string[], peers: readonly string[]): string {
  return `
swarm: { key: ${key}, listen: ${JSON.stringify(listen)}, peers: ${JSON.stringify(peers)}, mdns: false, headsInterval: 1s }
eventRouting:
  routes:
    - { from: "'telemetry' & 'cycle'", into: telemetry }
    - { from: "'vision'", into: vision }
  streams:
    telemetry: { maxEvents: 100 }
    vision: { maxAge: 6h, maxSize: 1MB }
storage: { block: { maxEvents: 20 } }
`
}

async function testPages(): Promise<void> {
  t.setTimeout(600_000)
  const first = await DaemonProcess.start({ config: configOf(['/ip4/127.0.0.1/tcp/0'], []) })
  t.teardown(() => first.close())
  const peers = first.ready.swarm ?? []
  const others = await Promise.all(
    [1, 2].map(() => DaemonProcess.start({ config: configOf(['/ip4/127.0.0.1/tcp/0'], peers) })),
  )
  for (const daemon of others) t.teardown(() => daemon.close())
  const clients = [first, ...others].map(({ url }) => clientOf(url))
  t.teardown(() => {
    for (const client of clients) client.close()
  })
  await Promise.all(clients.map((client, index) => fill(client, index)))
  await Promise.all(clients.map(hasAll))
  const browser = await openBrowser()
  t.teardown(() => browser.close())
  const [client] = clients
  if (client === undefined) throw new Error('there is no client')
  const origin = first.url

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const viewport of [DESK, TABLET]) {
      const size = `${String(viewport.width)} × ${String(viewport.height)}`
      await t.test(`every page fits ${size} in the ${colorScheme} theme, without errors`, PATIENT, async (t) => {
        const { page, faults } = await openPage(browser, origin, {
          viewport,
          colorScheme,
          hasTouch: viewport === TABLET,
        })
        await page.goto(`${origin}/ui`)
        for (const name of PAGES) {
          await page.locator(`.tabs a[href="#${name}"]`).click()
          await settle(page)
          t.equal(await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth'), 0, `${name} fits`)
          t.match(await page.title(), /^[A-Z]\w+ · .{8} · millrace$/)
          await keepPicture(page, `${name}-${colorScheme}-${String(viewport.width)}`)
        }
        t.strictSame(faults, [])
        await page.context().close()
      })
    }
  }

  await t.test('every page is kept as who sees few colours sees it', PATIENT, async (t) => {
    const { page, faults } = await openPage(browser, origin, { viewport: DESK })
    const session = await page.context().newCDPSession(page)
    for (const type of ['protanopia', 'deuteranopia', 'tritanopia', 'achromatopsia'] as const) {
      await session.send('Emulation.setEmulatedVisionDeficiency', { type })
      for (const name of PAGES) {
        await page.goto(`${origin}/ui#${name}`)
        await settle(page)
        await keepPicture(page, `${name}-${type}`)
      }
    }
    t.strictSame(faults, [])
    await page.context().close()
  })

  await t.test('controls have names, and are as high as a finger on a tablet', async (t) => {
    const { page } = await openPage(browser, origin, { viewport: TABLET, hasTouch: true })
    for (const name of PAGES) {
      await page.goto(`${origin}/ui#${name}`)
      await settle(page)
      const controls = await page.evaluate<readonly { name: string; text: string; height: number }[]>(CONTROLS)
      t.ok(controls.length > 6)
      t.strictSame(
        controls.filter((control) => control.name === ''),
        [],
        `${name}: all have names`,
      )
      t.strictSame(
        controls.filter(({ height }) => height < 47.5),
        [],
        `${name}: all are high enough`,
      )
    }
    await page.context().close()
  })

  await t.test('digits change the page, except where one writes', async (t) => {
    const { page } = await openPage(browser, origin, { viewport: DESK })
    await page.goto(`${origin}/ui`)
    await settle(page)
    await page.keyboard.press('3')
    await page.waitForURL(/#events$/)
    await settle(page)
    await page.getByLabel('Show only events that match').click()
    await page.keyboard.press('5')
    t.match(page.url(), /#events$/)
    await page.context().close()
  })

  await t.test('the figures of the streams are those of the API', async (t) => {
    const { page, faults } = await openPage(browser, origin, { viewport: DESK })
    await page.goto(`${origin}/ui#streams`)
    await settle(page)
    const streams = await client.streams()
    const lanes = await page.locator('button.lane').allInnerTexts()
    t.equal(lanes.length, streams.length)
    for (const [index, { events, name }] of streams.entries()) {
      t.match(lanes[index], new RegExp(`\\b${events.toLocaleString('en')}\\b`))
      if (name !== null) t.match(lanes[index], name)
    }
    t.strictSame(faults, [])
    await page.context().close()
  })

  await t.test('the swarm page shows three nodes, who has what, and one that went away', PATIENT, async (t) => {
    const { page } = await openPage(browser, origin, { viewport: DESK })
    await page.goto(`${origin}/ui#swarm`)
    await page.getByText('All 3 nodes on').waitFor()
    await settle(page)
    t.equal(await page.locator('.mx tbody tr').count(), 3)
    t.equal(await page.locator('.mx tbody tr').first().locator('td').count(), (await client.streams()).length)
    await others[1]?.kill()
    await page.getByText('2 of 3 nodes on').waitFor()
    await keepPicture(page, 'swarm-one-off')
    await others[1]?.startAgain()
    await page.getByText('All 3 nodes on').waitFor({ timeout: 60_000 })
    await page.context().close()
  })

  await t.test('hostile texts stay texts', async (t) => {
    const { page, faults } = await openPage(browser, origin, { viewport: DESK })
    await page.goto(`${origin}/ui#events?filter=${encodeURIComponent("'hostile'")}`)
    await page.locator('.ev').first().click()
    await page.getByRole('region', { name: 'The chosen event' }).waitFor()
    t.match(await page.title(), /millrace$/)
    t.equal(await page.locator('main img, main script').count(), 0)
    t.equal(await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth'), 0)
    await keepPicture(page, 'events-hostile')
    t.strictSame(faults, [])
    await page.context().close()
  })

  await t.test('a query is completed, explained, underlined, run, drawn and saved', async (t) => {
    const { page, faults } = await openPage(browser, origin, { viewport: DESK }, [FAILED_REQUEST])
    await page.goto(`${origin}/ui#query`)
    await settle(page)
    const editor = page.getByRole('textbox', { name: 'Query text' })
    await editor.click()
    await page.keyboard.press('Control+A')
    await page.keyboard.type("FROM 'telem")
    await page.getByRole('option', { name: 'telemetry' }).waitFor()
    // The list takes no key at once, lest one that is typed chooses what nobody has read.
    await sleep(150)
    await page.keyboard.press('Tab')
    await page.keyboard.type(' FILTER _.n < 30 LIMI 5')
    await page.locator('.fault-line').waitFor()
    t.match(await page.locator('.fault-line').innerText(), /^line 1, column \d+: /)
    t.equal(await page.locator('.fault').innerText(), 'LIMI')
    await keepPicture(page, 'query-fault')
    for (let n = 0; n < ' LIMI 5'.length; n++) await page.keyboard.press('Backspace')
    await page.locator('.fault-line').waitFor({ state: 'detached' })
    await page.keyboard.press('Control+Enter')
    await page.getByText(/^30 rows in/).waitFor()
    t.equal(await page.locator('table.result tbody tr').count(), 30)
    await page.getByRole('button', { name: 'Chart' }).click()
    await page.getByRole('img', { name: /^n: 30 numbers from 0 to 29/ }).waitFor()
    await keepPicture(page, 'query-chart')
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Save CSV' }).click(),
    ])
    const csv = await readFile(await download.path(), 'utf8')
    t.equal(csv.trimEnd().split('\r\n').length, 31)
    await page.reload()
    await page.getByRole('region', { name: 'History' }).getByText("FROM 'telemetry'").waitFor()
    t.strictSame(faults, [])
    await page.context().close()
  })

  await t.test('a refusal is explained in its own panel, and the rest works', async (t) => {
    const { page } = await openPage(browser, origin, { viewport: DESK }, [FAILED_REQUEST])
    await page.route(/\/v1\/log\?/, (route) =>
      route.fulfill({ status: 401, json: { code: 'ERR_TOKEN_EXPIRED', message: 'The token has expired.' } }),
    )
    await page.goto(`${origin}/ui#node`)
    const log = page.getByRole('region', { name: 'Log' })
    await log.getByText('ERR_TOKEN_EXPIRED').waitFor()
    await page.getByRole('region', { name: 'This node' }).getByText(first.ready.nodeId).waitFor()
    t.equal(await page.locator('.state-bar').count(), 0)
    await page.context().close()
  })

  await t.test(
    'the page comes back by itself when its daemon does, and the tail leaves nothing out',
    PATIENT,
    async (t) => {
      const { page } = await openPage(browser, origin, { viewport: DESK }, [FAILED_REQUEST])
      await page.goto(`${origin}/ui#events?filter=${encodeURIComponent("'tailed'")}`)
      await page.getByText('0/s').waitFor()
      await publishTailed(client, 0, 10)
      await page.locator('.ev', { hasText: '{"tailed":9}' }).waitFor()
      await page.getByRole('button', { name: 'Pause' }).click()
      await publishTailed(client, 10, 15)
      await page.getByText('5 new').waitFor()
      await page.getByRole('button', { name: 'Go on' }).click()
      await page.locator('.ev', { hasText: '{"tailed":14}' }).waitFor()
      await first.kill()
      await page.getByText('No answer from the daemon.').waitFor({ timeout: 15_000 })
      await keepPicture(page, 'events-disconnected')
      await first.startAgain()
      await page.locator('[data-link="live"]').waitFor({ timeout: 8000 })
      await publishTailed(client, 15, 25)
      await page.locator('.ev', { hasText: '{"tailed":24}' }).waitFor()
      const shown = await page.locator('.ev .p').allInnerTexts()
      t.strictSame(
        shown,
        Array.from({ length: 25 }, (_, n) => `{"tailed":${String(24 - n)}}`),
      )
      await page.context().close()
    },
  )
}

function clientOf(url: string): Client {
  return new Client(fetchTransport(url), { appId: 'com.example.test', displayName: 'test', version: '1' })
}

async function fill(client: Client, node: number): Promise<void> {
  const events = Array.from({ length: 60 }, (_, n) => [
    { tags: ['telemetry', 'cycle', `press-${String(node)}`], payload: { n, force: 600 + n / 2 } },
    { tags: ['vision', `lane:${String(n % 2)}`], payload: { part: `C-${String(n)}`, ok: n % 7 !== 0 } },
  ]).flat()
  // Queries of the tests are about what one node wrote.
  await client.publish(node === 0 ? events : events.filter(({ tags }) => tags[0] === 'vision'))
  if (node === 0) await client.publish([{ tags: ['hostile', ...HOSTILE], payload: { [HOSTILE[0] ?? '']: HOSTILE } }])
}

/** Until a node holds what all three have published. */
async function hasAll(client: Client): Promise<void> {
  const signal = AbortSignal.timeout(60_000)
  let events = 0
  for await (const line of client.subscribe('FROM allEvents', { signal })) {
    if (line.type === 'event') events += 1
    if (events === ALL_EVENTS) return
  }
  throw new Error(`only ${String(events)} of ${String(ALL_EVENTS)} events have come`)
}

async function publishTailed(client: Client, from: number, to: number): Promise<void> {
  for (let tailed = from; tailed < to; tailed++) await client.publish([{ tags: ['tailed'], payload: { tailed } }])
}

/** Runs in the page: all controls, also those in shadow roots; links inside of sentences are as high as these. */
const CONTROLS = `(() => {
  const found = []
  const look = (root) => {
    for (const element of root.querySelectorAll('*')) {
      if (element.shadowRoot !== null) look(element.shadowRoot)
      const isControl = element.matches('button, input, select, nav a, a.btn')
      const box = element.getBoundingClientRect()
      if (!isControl || box.height === 0) continue
      const label = element.labels?.[0]?.textContent ?? ''
      const name = element.getAttribute('aria-label') ?? (element.textContent || label)
      found.push({ name: name.trim(), text: element.outerHTML.slice(0, 120), height: box.height })
    }
  }
  look(document)
  return found
})()`

const reason = noBrowser()
if (reason === false) await testPages()
else t.test('the page works in a browser', { skip: reason }, () => undefined)
