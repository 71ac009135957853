import t from 'tap'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { toErrorKind, toErrorReply, WIRE_FORMS } from '../../node/api/errors.js'

t.test('docs/errors.md lists every code as the API answers it, in order', (t) => {
  const file = fileURLToPath(new URL('../../../docs/errors.md', import.meta.url))
  const row = /^\| `(ERR_\w+)` +\| (\d+) +\| `(ERR_\w+)` +\| (.+?) +\| (\w+) +\|$/gm
  const rows = readFileSync(file, 'utf8').matchAll(row)
  const listed = [...rows].map(([, code, status, wire, , kind]) => ({
    code,
    status: Number(status),
    wire,
    kind,
  }))
  const expected = Object.entries(WIRE_FORMS).map(([code, form]) => {
    const internal = form.code === 'ERR_INTERNAL' ? 'internalError' : 'serviceError'
    return { code, status: form.status, wire: form.code, kind: form.socket === 'shape' ? 'badRequest' : internal }
  })
  t.same(listed, expected)
  t.end()
})

t.test('what is thrown by accident tells clients nothing', (t) => {
  for (const accident of [new TypeError('secret'), 'secret', undefined, { code: 'ERR_NOT_FOUND' }]) {
    t.same(toErrorReply(accident), { status: 500, code: 'ERR_INTERNAL', message: 'Internal server error.' })
    t.same(toErrorKind(accident), { type: 'internalError' })
  }
  t.end()
})
