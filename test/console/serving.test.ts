import t from 'tap'
import { DaemonProcess } from '../support/daemon.js'

const daemon = await DaemonProcess.start()
t.teardown(() => daemon.close())

const html = await (await fetch(`${daemon.url}/ui`)).text()
const [script = ''] = /\/ui\/assets\/[\w-]+\.js/.exec(html) ?? []

t.test('the page is served with a policy that lets nothing in from elsewhere', async (t) => {
  const answer = await fetch(`${daemon.url}/ui`)
  t.equal(answer.status, 200)
  t.equal(answer.headers.get('content-type'), 'text/html; charset=utf-8')
  t.match(answer.headers.get('content-security-policy'), /^default-src 'self';.*frame-ancestors 'none'/)
  t.equal(answer.headers.get('x-content-type-options'), 'nosniff')
  t.equal(answer.headers.get('cache-control'), 'no-cache')
})

t.test('the page is not sent again to a browser that has it', async (t) => {
  const etag = (await fetch(`${daemon.url}/ui/`)).headers.get('etag') ?? ''
  const answer = await fetch(`${daemon.url}/ui`, { headers: { 'if-none-match': etag } })
  t.equal(answer.status, 304)
  t.equal(await answer.text(), '')
})

t.test('its files may be kept for good, and are the same gzipped and plain', async (t) => {
  const plain = await fetch(daemon.url + script, { headers: { 'accept-encoding': 'identity' } })
  t.equal(plain.headers.get('cache-control'), 'public, max-age=31536000, immutable')
  t.equal(plain.headers.get('content-encoding'), null)
  const gzipped = await fetch(daemon.url + script, { headers: { 'accept-encoding': 'gzip' } })
  t.equal(gzipped.headers.get('content-encoding'), 'gzip')
  t.ok(Number(gzipped.headers.get('content-length')) < Number(plain.headers.get('content-length')))
  t.equal(await gzipped.text(), await plain.text())
})

t.test('who takes no gzip gets none', async (t) => {
  const answer = await fetch(daemon.url + script, { headers: { 'accept-encoding': 'gzip;q=0, identity' } })
  t.equal(answer.headers.get('content-encoding'), null)
})

t.test('what is no file of the page is not found, whatever the path tries', async (t) => {
  for (const path of ['/ui/assets', '/ui/assets/', '/ui/assets/other.js', '/ui/assets/../index.html.gz', '/ui/other']) {
    const answer = await fetch(daemon.url + path)
    t.equal(answer.status, 404, path)
    await answer.arrayBuffer()
  }
  const climbing = await fetch(`${daemon.url}/ui/assets/%2e%2e/%2e%2e/package.json`)
  t.equal(climbing.status, 404)
})

t.test('a bad token is refused also where none is needed', async (t) => {
  const answer = await fetch(`${daemon.url}/ui?access_token=bad`)
  t.equal(answer.status, 400)
})

t.test('a page of another origin cannot ask for it', async (t) => {
  const answer = await fetch(`${daemon.url}/ui`, { headers: { origin: 'https://elsewhere.example' } })
  t.equal(answer.status, 403)
})
