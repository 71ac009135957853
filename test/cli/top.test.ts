import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { cut, fit, widthOf, wrap } from '../../cli/top/fit-text.js'
import { keysIn } from '../../cli/top/keys.js'
import { MetricText, quantileSince } from '../../cli/top/metric-text.js'
import { pictureOf, type PeerFigures, type StreamFigures, type TopPicture } from '../../cli/top/picture.js'
import type { Reading } from '../../cli/top/reading.js'
import { renderTop, shareRows, type Painter } from '../../cli/top/render.js'
import { chosen, FIRST_VIEW, press, type View } from '../../cli/top/view.js'
import { inColour } from '../../cli/terminal.js'
import { Collector } from '../support/collector.js'
import { DaemonProcess } from '../support/daemon.js'
import { DrawnScreen } from '../support/drawn-screen.js'
import { plainNode } from '../support/plain-node.js'
import { runMillrace } from '../support/run-millrace.js'

const plain: Painter = (_style, text) => text
const nodeId = 'PjRTr1ej8fQxlGzOn0Jq8y6lGpcf2GSzFhsGIFn0q1Y'
const noLimits = { maxEvents: null, maxStoredBytes: null, maxAgeMicros: null, maxBlockAgeMicros: null }

function stream(name: string, more: Partial<StreamFigures> = {}): StreamFigures {
  return {
    stream: `${nodeId}-1`,
    name,
    owner: nodeId,
    own: true,
    events: 12_345,
    storedBytes: 1_234_567,
    eventsPerSecond: 41.4,
    limits: noLimits,
    usedShare: null,
    ...more,
  }
}

const peer: PeerFigures = {
  nodeId: 'otherNodeId',
  address: '/ip4/10.0.0.7/tcp/4001',
  state: 'connected',
  status: 'LowLatency',
  roundTripMs: 1.25,
  missing: 1200,
  behindSeconds: 65,
  error: null,
}

const picture: TopPicture = {
  at: Date.UTC(2026, 0, 2, 3, 4, 5) * 1000,
  node: {
    nodeId,
    version: '1.2.3',
    topic: 'factory',
    uptimeSeconds: 11_540,
    ready: true,
    cpuShare: 0.123,
    memoryBytes: 150_000_000,
    diskFreeBytes: 12_000_000_000,
  },
  input: {
    eventsPerSecond: 1204.4,
    bytesPerSecond: 230_000,
    commitsPerSecond: 8.25,
    syncP50Seconds: 0.00042,
    syncP99Seconds: 0.0123,
    pendingAppends: 0,
  },
  output: {
    rowsPerSecond: 0,
    bytesPerSecond: null,
    queriesPerSecond: 0.5,
    queriesRunning: 2,
    subscriptions: 14,
  },
  streams: [
    stream('default'),
    stream('telemetry', {
      eventsPerSecond: 1000,
      usedShare: 1.07,
      limits: { ...noLimits, maxEvents: 10_000, maxAgeMicros: 86_400_000_000 },
    }),
    stream('from afar', { own: false, owner: 'otherNodeId', eventsPerSecond: null }),
  ],
  inSwarm: true,
  peers: [
    peer,
    {
      ...peer,
      nodeId: null,
      state: 'waiting',
      roundTripMs: null,
      missing: null,
      behindSeconds: null,
      error: 'refused',
    },
  ],
  alarms: [],
}

const draw = (picture: TopPicture, columns: number, rows: number, view: View = FIRST_VIEW, paint = plain) =>
  renderTop({ picture, view, trouble: undefined }, { columns, rows }, paint)

t.test('a node that is well fits on 80 columns and 24 lines', (t) => {
  const { lines } = draw(picture, 80, 24)
  t.equal(lines.length, 24)
  t.same(
    lines.filter((line) => line !== ''),
    [
      `millrace 1.2.3  ${nodeId}         03:04:05 UTC`,
      'up 3 h 12 min  topic factory  cpu 12 %  memory 143 MiB  disk free 11.2 GiB',
      'no alarms; events are taken',
      'in 1,204 events/s  225 KiB/s  commits 8.3/s  fsync p50 0.42 ms  p99 12.3 ms',
      'out 0 events/s  –/s  queries 2 running  0.5/s  subscriptions 14',
      '› STREAM     OWNER     EVENTS/S  EVENTS    STORED   USED  LIMITS',
      '  telemetry  here         1,000  12,345  1.18 MiB  107 %  10,000 events, 1d',
      '  default    here            41  12,345  1.18 MiB      –  -',
      '  from afar  otherNo…         –  12,345  1.18 MiB      –  -',
      '  PEER                    STATE      LATENCY  LACKS     BEHIND  ADDRESS OR ERROR',
      '  otherNo…                connected  1.25 ms  1,200  1 min 5 s  /ip4/10.0.0.7/t…',
      '  /ip4/10.0.0.7/tcp/4001  waiting          –      –          –  refused',
      'q quit  s sort: rate  p pause  / filter  ↑↓ scroll  ←→ other list',
    ],
  )
  t.end()
})

t.test('alarms come first, whole where there is room, and otherwise it is said how many are not shown', (t) => {
  const alarm = {
    kind: 'disk',
    reason: 'low',
    stream: null,
    peer: null,
    since: picture.at,
    message: 'the disk has 1.0 GB of 100.0 GB left; the node itself takes 20.0 GB',
    advice: 'free 4.0 GB there, or limit the streams',
  } as const
  t.same(draw({ ...picture, alarms: [alarm] }, 80, 24).lines.slice(2, 5), [
    'ALARM disk since 2026-01-02T03:04:05: the disk has 1.0 GB of 100.0 GB left; the',
    'node itself takes 20.0 GB',
    '  free 4.0 GB there, or limit the streams',
  ])
  const many = draw({ ...picture, alarms: Array.from({ length: 9 }, () => alarm) }, 80, 24).lines
  t.equal(many.filter((line) => line.startsWith('ALARM')).length, 2)
  t.equal(many[8], '7 alarms more: millrace doctor tells all')
  t.match(many.at(-1), /^q quit/)
  const { lines } = draw({ ...picture, node: { ...picture.node, ready: false } }, 80, 24)
  t.match(lines[2], /^NO EVENTS ARE TAKEN/)
  const trouble = { message: 'connect ENOENT /run/api.sock', seconds: 75 }
  const gone = renderTop({ picture, view: FIRST_VIEW, trouble }, { columns: 80, rows: 24 }, plain).lines
  t.equal(
    gone.slice(2, 4).join(' '),
    'NO ANSWER for 1 min 15 s: connect ENOENT /run/api.sock; trying again, the figures are old',
  )
  t.end()
})

t.test('whatever the size, no line is too long and there are not too many', (t) => {
  const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('漢字の流れ', '\u001b[31mred', 'a\u202eb', ''))
  const scene = fc.record({
    columns: fc.integer({ min: 20, max: 200 }),
    rows: fc.integer({ min: 1, max: 60 }),
    names: fc.array(text, { maxLength: 40 }),
    messages: fc.array(text, { maxLength: 6 }),
    errors: fc.array(text, { maxLength: 20 }),
    keys: fc.array(
      fc.constantFrom('s', 'p', '/', 'a', 'enter', 'escape', 'up', 'down', 'pageDown', 'end', 'home', 'tab'),
    ),
  })
  fc.assert(
    fc.property(scene, ({ columns, rows, names, messages, errors, keys }) => {
      const shown: TopPicture = {
        ...picture,
        streams: names.map((name) => stream(name)),
        peers: errors.map((error) => ({ ...peer, address: error, error })),
        alarms: messages.map((message) => ({
          kind: 'gap',
          reason: 'gap',
          stream: null,
          peer: null,
          since: picture.at,
          message,
          advice: message,
        })),
      }
      const view = keys.reduce((view, key) => press(view, key) ?? view, FIRST_VIEW)
      const drawn = draw(shown, columns, rows, view)
      t.equal(drawn.lines.length, rows)
      t.ok(drawn.lines.every((line) => widthOf(line) <= columns))
      // eslint-disable-next-line no-control-regex -- these are what must not come
      t.notMatch(drawn.lines.join(''), /[\u0000-\u001f\u007f-\u009f\u202e]/)
      const coloured = draw(shown, columns, rows, view, inColour).lines
      t.same(coloured.map(stripVTControlCharacters), drawn.lines, 'colours change nothing else')
    }),
    { numRuns: 100 },
  )
  t.end()
})

t.test('rows are shared so that none are left empty while the other list wants them', (t) => {
  t.same(shareRows(12, 3, 2), { streams: 3, peers: 2 })
  t.same(shareRows(12, 40, 2), { streams: 10, peers: 2 })
  t.same(shareRows(12, 40, 40), { streams: 8, peers: 4 })
  t.same(shareRows(12, 2, 40), { streams: 2, peers: 10 })
  t.same(shareRows(0, 2, 40), { streams: 0, peers: 0 })
  t.same(shareRows(Infinity, 2, 40), { streams: 2, peers: 40 })
  t.end()
})

t.test('keys sort, filter, scroll, pause and end', (t) => {
  const many = {
    ...picture,
    streams: Array.from({ length: 30 }, (_, at) => stream(`s${at}`, { events: at, eventsPerSecond: 0 })),
  }
  const pressed = (keys: readonly string[], from: View = FIRST_VIEW): View =>
    keys.reduce((view, key) => press(view, key) ?? view, from)
  const names = (view: View) => chosen(many, view).streams.map(({ name }) => name)
  t.equal(names(FIRST_VIEW)[0], 's0', 'of equal rate the first by name')
  t.equal(names(pressed(['s']))[0], 's29')
  t.equal(pressed(['s', 's', 's', 's']).sort, 'rate')
  t.same(names(pressed(['/', 'S', '2', '9', 'enter', 's'])), ['s29'])
  t.same(pressed(['/', 'q', 'p']).filter, 'qp', 'letters are those of the filter')
  t.same(pressed(['/', 'q', 'backspace', 'escape', 'p']), { ...FIRST_VIEW, isPaused: true })
  t.equal(press(FIRST_VIEW, 'q'), undefined)
  t.equal(press(pressed(['/']), 'interrupt'), undefined)
  const { view, lines } = draw(many, 80, 24, pressed(['end']))
  t.match(lines.join('\n'), /STREAM .* 19 to 30 of 30\n/)
  t.equal(view.above.streams, 18, 'it was scrolled no further than to the end')
  t.equal(pressed(['up'], view).above.streams, 17)
  t.equal(pressed(['tab', 'down']).above.peers, 1)
  t.match(
    draw({ ...many, streams: [] }, 80, 24, pressed(['/', 'x'])).lines.join('\n'),
    /no streams with 'x'[^]*filter: x_/,
  )
  t.same(keysIn(Buffer.from('aä\u001b[A\u001bOB\u001b[5~\r\u0003\u001b')), [
    'a',
    'ä',
    'up',
    'down',
    'pageUp',
    'enter',
    'interrupt',
    'escape',
  ])
  t.same(keysIn(Buffer.from('\u0001\u001b[200~\u202e')), [])
  t.end()
})

t.test('texts are cut and broken by what they take on a terminal', (t) => {
  t.equal(widthOf('a漢e\u0301🚀'), 6)
  t.equal(fit('漢字', 3), '漢…')
  t.equal(fit('ab', 4, 'right'), '  ab')
  t.equal(cut('abc', 0), '')
  t.same(wrap('one two three', 7), ['one two', 'three'])
  t.same(wrap('abcdefghij k', 4), ['abcd', 'efgh', 'ij k'])
  t.end()
})

t.test('figures are read from the text of the metrics, and quantiles from what was added', (t) => {
  const text = (counts: readonly number[]) =>
    new MetricText(
      [
        '# HELP x_seconds A help with x_total 7',
        '# TYPE x_seconds histogram',
        ...counts.map((count, at) => `x_seconds_bucket{le="${['0.001', '0.01', '+Inf'][at] ?? ''}"} ${count}`),
        'y_total{a="1",b="\\"q\\\\"} 3',
        'y_total{a="2",b="z"} 4',
        'nan_total NaN',
        '',
      ].join('\n'),
    )
  const [before, after] = [text([10, 10, 10]), text([10, 30, 30])]
  t.equal(after.total('y_total'), 7)
  t.equal(after.total('nan_total'), undefined)
  t.equal(after.total('z_total'), undefined)
  t.equal(text([]).label('y_total', 'b'), 'z')
  const since = (share: number) => quantileSince(before.histogram('x_seconds'), after.histogram('x_seconds'), share)
  t.ok(Math.abs((since(0.5) ?? 0) - 0.0055) < 1e-9)
  t.equal(quantileSince([], text([0, 0, 5]).histogram('x_seconds'), 0.5), 0.01, 'beyond the last bound')
  t.equal(quantileSince(after.histogram('x_seconds'), after.histogram('x_seconds'), 0.5), undefined)
  t.end()
})

const base = {
  info: { connectedNodes: 0, uptime: { secs: 100, nanos: 0 }, version: '1' },
  streams: [],
  alarms: [],
  swarm: { swarm: false, nodeId, topic: 'x', now: 1, addresses: [], streams: [], missing: [], nodes: [] },
}

t.test('rates are those between two readings of one run of the node', (t) => {
  const reading = (atMs: number, commits: number, start: number, secs = 100): Reading => ({
    ...base,
    atMs,
    info: { ...base.info, uptime: { secs, nanos: 0 } },
    metrics: new MetricText(`process_start_time_seconds ${start}\nmillrace_commits_total ${commits}\n`),
  })
  const first = reading(1000, 10, 1)
  t.equal(pictureOf(first, undefined).input.commitsPerSecond, null)
  t.equal(pictureOf(reading(3000, 15, 1), first).input.commitsPerSecond, 2.5)
  t.equal(pictureOf(reading(3000, 15, 2), first).input.commitsPerSecond, null, 'the node was started again')
  t.end()
})

const daemon = await DaemonProcess.start({
  config: 'eventRouting: { routes: [{ from: "\'s\'", into: short }], streams: { short: { maxEvents: 4 } } }',
})
t.teardown(() => daemon.close())
const at = ['-s', daemon.socket]
const main = fileURLToPath(new URL('../../cli/main.js', import.meta.url))

t.test('what is printed is what the node says', async (t) => {
  await runMillrace(['publish', ...at, '-t', 's', '1'])
  const { code, out, err } = await runMillrace(['top', ...at, '-j', '--count', '2', '--interval', '0.2'])
  t.same({ code, err }, { code: 0, err: '' })
  const lines = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  t.equal(lines.length, 2)
  t.match(lines[1], {
    type: 'picture',
    node: { nodeId: daemon.ready.nodeId, ready: true, uptimeSeconds: Number, memoryBytes: Number },
    input: { eventsPerSecond: 0, commitsPerSecond: 0, syncP99Seconds: null },
    output: { rowsPerSecond: 0, subscriptions: 0 },
    streams: [{ name: 'short', own: true, events: 1, eventsPerSecond: 0, usedShare: 0.25, limits: { maxEvents: 4 } }],
    inSwarm: false,
    peers: [],
    alarms: [],
  })
  const text = await runMillrace(['top', ...at, '--count', '1', '--interval', '0.1'])
  t.equal(text.code, 0)
  t.match(text.out, /^ {2}short +here +0 +1 +\d+ B +25 % +4 events$/m)
  // eslint-disable-next-line no-control-regex -- escape sequences are for terminals
  t.notMatch(text.out, /\u001b/)
  const dumb = await runMillrace(['top', ...at, '--count', '1'], { isTerminal: true, env: { TERM: 'dumb' } })
  t.match(dumb, { code: 0, out: /STREAM/ })
  t.match(await runMillrace(['top', '-s', `${daemon.socket}x`]), { code: 1, err: /ERR_NODE_UNREACHABLE/ })
  for (const [flag, value] of [
    ['--count', '0'],
    ['--count', '1.5'],
    ['--interval', '0'],
    ['--interval', 'x'],
    ['--interval', '1e3'],
  ] as const) {
    t.match(await runMillrace(['top', flag, value]), { code: 2, err: new RegExp(`${flag} takes .* not '${value}'`) })
  }
})

/** A command in a terminal of its own, as util-linux makes it. */
function inTerminal(argv: readonly string[]) {
  const [command, args] = plainNode([main, ...argv])
  const quoted = [command, ...args].map((word) => `'${word}'`).join(' ')
  const inner = `tty; stty rows 24 cols 80; echo "pid=$$"; exec ${quoted}`
  const outer = `before=$(stty -g); sh -c "${inner.replaceAll(/["$]/g, '\\$&')}"; echo "code=$?"; [ "$before" = "$(stty -g)" ] && echo restored`
  const child = spawn('script', ['-qfec', outer, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const sent = new Collector<string>()
  const screen = new DrawnScreen()
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    screen.write(text)
    sent.push(text)
  })
  const shows = async (what: RegExp): Promise<string> => {
    await sent.until(() => what.test(screen.text))
    return screen.text
  }
  const ended = once(child, 'close').then(() => sent.items.join(''))
  const first = async (what: RegExp): Promise<string> => {
    await sent.until((texts) => what.test(texts.join('')))
    return what.exec(sent.items.join(''))?.[1] ?? ''
  }
  return { child, screen, shows, ended, first }
}

const noTerminal = spawnSync('script', ['--version']).status === 0 ? false : 'script of util-linux is not installed'

t.test(
  'on a terminal keys are obeyed, a node that comes back is shown, and everything is left as it was',
  { skip: noTerminal },
  async (t) => {
    const live = inTerminal(['top', ...at, '-i', '0.2'])
    const json = spawn(...plainNode([main, 'top', ...at, '-j', '-i', '0.2']), { stdio: ['ignore', 'pipe', 'inherit'] })
    const lines = new Collector<string>()
    json.stdout.setEncoding('utf8').on('data', lines.push)
    const jsonEnded = once(json, 'close')
    await live.shows(/^millrace [^]*short [^]*^q quit/m)
    t.ok(live.screen.modes.has('1049') && !live.screen.modes.has('25'), 'another page, without cursor')
    live.child.stdin.write('s')
    await live.shows(/sort: events/)
    live.child.stdin.write('/nothing')
    await live.shows(/filter: nothing_/)
    await live.shows(/no streams with 'nothing'/)
    live.child.stdin.write('\u001b')
    await live.shows(/^ {2}short/m)
    const tty = await live.first(/(\/dev\/\S+)/)
    execFileSync('stty', ['-F', tty, 'rows', '12', 'cols', '60'])
    // Rows and columns change one after the other.
    await live.shows(/^(?:.{0,59}\n){11}q quit.{0,53}$/)
    live.child.stdin.write('p')
    await live.shows(/paused at/)
    live.child.stdin.write('p')
    await lines.until((texts) => texts.join('').includes('"type":"picture"'))

    await daemon.kill()
    await live.shows(/^NO ANSWER for/m)
    await lines.until((texts) => texts.join('').includes('"type":"trouble"'))
    await daemon.startAgain()
    await live.shows(/^no alarms/m)
    await lines.until((texts) => texts.join('').split('"type":"trouble"').at(-1)?.includes('"type":"picture"') === true)
    json.kill('SIGTERM')
    t.same(await jsonEnded, [0, null])

    live.child.stdin.write('q')
    t.match(await live.ended, /code=0\r\nrestored\r\n$/)
    t.ok(!live.screen.modes.has('1049') && live.screen.modes.has('25'), 'page and cursor are back')
  },
)

t.test('signals and Ctrl-C leave the terminal as it was', { skip: noTerminal }, async (t) => {
  const ways: readonly ((pid: number, type: (text: string) => void) => void)[] = [
    (pid) => process.kill(pid, 'SIGTERM'),
    (pid) => process.kill(pid, 'SIGHUP'),
    (_pid, type) => type('\u0003'),
  ]
  await Promise.all(
    ways.map(async (end) => {
      const live = inTerminal(['top', ...at])
      await live.shows(/^q quit/m)
      end(Number(await live.first(/pid=(\d+)/)), (text) => void live.child.stdin.write(text))
      // eslint-disable-next-line no-control-regex -- it ends with an escape sequence
      t.match(await live.ended, /\u001b\[\?1049lcode=0\r\nrestored\r\n$/)
      t.ok(live.screen.modes.has('25'))
    }),
  )
})
