import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'
import { testLevel } from './level.js'

const PROGRAMS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** Where screenshots are kept for the eye. */
const PICTURES = join('.cache', 'console')

/** Why no browser can be used; `false` where one can. */
export function noBrowser(): string | false {
  if (testLevel() === 'quick') return 'takes a browser; runs with MILLRACE_TEST_LEVEL=ci'
  return program() === undefined ? 'chromium is not installed' : false
}

function program(): string | undefined {
  return PROGRAMS.find((path) => existsSync(path))
}

export function openBrowser(): Promise<Browser> {
  const executablePath = program()
  if (executablePath === undefined) throw new Error('chromium is not installed')
  // The sandbox needs a user other than root, and nothing foreign is loaded here.
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-background-networking'] })
}

/** A page, and everything on it that must not happen. */
export interface WatchedPage {
  readonly page: Page
  /** Errors of scripts, of the console, and requests to other origins. */
  readonly faults: string[]
}

/** @param harmless parts of messages that a test provokes, such as those about requests that fail */
export async function openPage(
  browser: Browser,
  origin: string,
  options: BrowserContextOptions = {},
  harmless: readonly string[] = [],
): Promise<WatchedPage> {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  page.setDefaultTimeout(60_000)
  const faults: string[] = []
  const note = (fault: string): void => {
    if (!harmless.some((part) => fault.includes(part))) faults.push(fault)
  }
  page.on('pageerror', (error) => {
    note(`script: ${error.message}`)
  })
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) note(`console: ${message.text()}`)
  })
  page.on('request', (request) => {
    if (!/^(blob|data):/.test(request.url()) && new URL(request.url()).origin !== origin)
      note(`foreign: ${request.url()}`)
  })
  return { page, faults }
}

/** Until the page has its figures. */
export async function settle(page: Page): Promise<void> {
  await page.locator('[data-link="live"]').waitFor()
  // By selectors: the policy of the page lets no text become a program.
  await page.locator('main:has(> :not(h1)):not(:has([aria-busy]))').waitFor()
}

/** Keeps a picture of what is shown. */
export async function keepPicture(page: Page, name: string): Promise<void> {
  mkdirSync(PICTURES, { recursive: true })
  await page.screenshot({ path: join(PICTURES, `${name}.png`) })
}
