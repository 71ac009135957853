// Packs the package as npm would publish it, installs the tarball into an empty directory and runs a node from
// there, with publish and query: what the checkout has and the tarball lacks (the generated parser, for one) shows here.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { mainFile, root } from './lib/paths.mjs'

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const scratch = mkdtempSync(join(tmpdir(), 'millrace-tarball-'))
process.on('exit', () => {
  rmSync(scratch, { recursive: true, force: true })
})

/** @returns stdout; ends the check when the command fails */
function must(command, args, cwd) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 120_000 })
  if (status === 0) return stdout
  fail(`${command} ${args.join(' ')} failed (${String(status ?? error?.message)})\n${stdout}${stderr}`)
}

function fail(message) {
  console.error(message)
  process.exit(1)
}

const [packed] = JSON.parse(must('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', scratch], root))
const files = packed.files.map(({ path }) => path)
const strange = files.filter(
  (path) => !/^(dist\/|examples\/[\w-]+\.yml$|README\.md$|LICENSE$|CHANGELOG\.md$|package\.json$)/.test(path),
)
if (strange.length > 0) fail(`should not be in the package: ${strange.join(', ')}`)
const forbidden = files.filter((path) =>
  /^dist\/(test|bench|examples)\/|^dist\/console\/(?!page\/)|\.tsbuildinfo$|^dist\/\.[\w-]*sources$/.test(path),
)
if (!files.includes('dist/console/page/index.html')) fail('the page is not in the package')
if (forbidden.length > 0) fail(`should not be in the package: ${forbidden.join(', ')}`)

writeFileSync(join(scratch, 'package.json'), '{ "private": true, "type": "module" }\n')
must(
  'npm',
  ['install', '--prefer-offline', '--no-audit', '--no-fund', '--omit=dev', join(scratch, packed.filename)],
  scratch,
)

// Everything compiled must load from the installed package alone.
const installed = join(scratch, 'node_modules/millrace')
const fronts = files.filter((path) => /^dist\/[\w-]+\/index\.js$/.test(path)).map((path) => join(installed, path))
must(
  process.execPath,
  ['--input-type=module', '--eval', `for (const file of ${JSON.stringify(fronts)}) await import(file)`],
  scratch,
)

if (existsSync(mainFile)) {
  const command = join(scratch, 'node_modules/.bin/millrace')
  const printed = must(command, ['--version'], scratch).trim()
  if (!printed.includes(version)) fail(`millrace --version says "${printed}", package.json says ${version}`)
  must(command, ['config', 'check', join(installed, 'examples/millrace.yml')], scratch)
  await tryNode(command)
}

/** Runs a node from the installed package, publishes and asks for it. */
async function tryNode(command) {
  const data = join(scratch, 'data')
  const node = spawn(command, ['run', '--data', data, '--api', '127.0.0.1:0'], {
    cwd: scratch,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  // However the check ends.
  process.prependListener('exit', () => node.kill('SIGKILL'))
  const ended = once(node, 'exit')
  const isReady = await Promise.race([saysReady(node.stdout), ended.then(() => false)])
  if (!isReady) fail('the installed node does not get ready')
  must(command, ['publish', '--data', data, '-t', 'packed', '{"celsius":21.5}'], scratch)
  const answer = must(command, ['query', '-j', '--data', data, "FROM 'packed' SELECT _.celsius"], scratch)
  if (!answer.includes('21.5')) fail(`the installed node answers ${answer}`)
  node.kill('SIGTERM')
  const [code] = await ended
  if (code !== 0) fail(`the installed node ended with ${String(code)}`)
}

async function saysReady(output) {
  for await (const line of createInterface({ input: output })) if (line.includes('"msg":"ready"')) return true
  return false
}
