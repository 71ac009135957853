import t, { type Test } from 'tap'
import type { Page } from 'playwright-core'
import { Client, fetchTransport } from '../../client/index.js'
import { spoilBlocks } from '../support/block-damage.js'
import { keepPicture, noBrowser, openBrowser, openPage, settle } from '../support/browser.js'
import { openDaemonPair } from '../support/daemon-pair.js'
import { until } from '../support/store.js'

const EVENTS = 100

/** A machine under load takes a multiple of the usual; milliseconds. */
const PATIENT_MS = 600_000

function clientOf(url: string): Client {
  return new Client(fetchTransport(url), { appId: 'com.example.test', displayName: 'test', version: '1' })
}

/** Two daemons with the same events, of which the first one has a damaged block, and the second one is off. */
async function openDamaged(t: Test) {
  const { daemons } = await openDaemonPair(t)
  const [first, second] = daemons
  const [client, other] = [clientOf(first.url), clientOf(second.url)]
  for (let at = 0; at < EVENTS; at += 10) {
    await client.publish(Array.from({ length: 10 }, (_, n) => ({ tags: ['part'], payload: { part: at + n } })))
  }
  await until(async () => Object.values((await other.offsets()).present).includes(EVENTS - 1))
  client.close()
  other.close()
  await second.stop()
  await first.stop()
  const chosen = (block: number, part: number) => (block === 1 && part === 2 ? 'flip' : undefined)
  t.equal(await spoilBlocks(first.data, 'default-topic', chosen), 1)
  await first.startAgain()
  return { first, second }
}

async function runQuery(page: Page): Promise<void> {
  await page.locator('.tabs a[href="#query"]').click()
  await page.getByRole('textbox', { name: 'Query text' }).click()
  await page.keyboard.press('Control+A')
  await page.keyboard.type("FROM 'part'")
  await page.keyboard.press('Control+Enter')
}

async function healsInSight(t: Test): Promise<void> {
  t.setTimeout(PATIENT_MS)
  const { first, second } = await openDamaged(t)
  const browser = await openBrowser()
  t.teardown(() => browser.close())
  const { page, faults } = await openPage(browser, first.url)
  const tab = (name: string) => page.locator(`.tabs a[href="#${name}"]`)
  const damaged = page.locator('.block-table tbody tr', { hasText: 'is damaged and not served' })
  const alarm = page.getByText('Gap: stored events cannot be read')
  await page.goto(`${first.url}/ui`)
  await settle(page)
  await page.evaluate('window.isSameDocument = true')

  await runQuery(page)
  await page.getByText('The answer is not complete.').waitFor()
  await keepPicture(page, 'damage-query')
  await tab('streams').click()
  await page.getByText('Blocks as a table').click()
  await damaged.waitFor()
  await keepPicture(page, 'damage-streams')
  await tab('swarm').click()
  await alarm.first().waitFor()
  await keepPicture(page, 'damage-swarm')

  await second.startAgain()
  await alarm.first().waitFor({ state: 'detached' })
  await tab('streams').click()
  await page.getByText('Blocks as a table').click()
  await page.getByRole('region', { name: 'Blocks', exact: true }).waitFor()
  await damaged.waitFor({ state: 'detached' })
  await keepPicture(page, 'damage-healed')
  await runQuery(page)
  await page.getByText(/^100 rows in/).waitFor()
  t.equal(await page.getByText('The answer is not complete.').count(), 0)
  t.equal(await page.evaluate('window.isSameDocument'), true, 'the page was not loaded again')
  t.strictSame(faults, [])
}

t.test(
  'a damaged block is shown, leaves no answer whole, and is healed without loading the page again',
  { skip: noBrowser() },
  healsInSight,
)
