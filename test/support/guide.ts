import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'

/** Commands of a guide, and what its reader should see of them. */
export interface GuideStep {
  /** Where the commands begin. */
  readonly line: number
  readonly commands: string
  /** Absent where the guide does not say. */
  readonly seen: string | undefined
}

/** The fenced blocks `sh` of a page, each with the block `text` that stands next to it, before any other commands. */
export function readGuide(page: string): GuideStep[] {
  const steps: { line: number; commands: string; seen: string | undefined }[] = []
  for (const block of page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)) {
    const [, language, content = ''] = block
    const line = page.slice(0, block.index).split('\n').length + 1
    const last = steps.at(-1)
    if (language === 'sh') steps.push({ line, commands: content, seen: undefined })
    else if (language === 'text' && last !== undefined) last.seen = `${last.seen ?? ''}${content}`
  }
  return steps
}

/**
 * What is wrong with an output, if anything. Each line that the guide shows must be there, and no other; blanks and order
 * do not count. `…` stands for anything in a line, alone on a line for any lines; the usual port for any.
 */
export function whatDiffers(seen: string, output: string): string | undefined {
  const wanted = linesOf(seen)
  const left = linesOf(output)
  for (const line of wanted.filter((text) => text !== '…')) {
    const found = left.findIndex((text) => patternOf(line).test(text))
    if (found < 0) return `there is no line "${line}"`
    left.splice(found, 1)
  }
  const [surplus] = left
  return surplus === undefined || wanted.includes('…') ? undefined : `there is a line "${surplus}" too`
}

function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim().replaceAll(/\s+/g, ' '))
    .filter((line) => line !== '')
}

function patternOf(line: string): RegExp {
  const source = line
    .replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')
    .replaceAll('…', '.*')
    .replaceAll(':4454', ':[0-9]+')
  return new RegExp(`^${source}$`)
}

/** Longest wait for what a block of commands should show; a machine under load may need half a minute for a start. */
const PATIENCE_MS = 120_000

/** Commands that only look: a reader who does not see yet what should be there looks again. */
const LOOKS = /^(?:millrace (?:streams|query|offsets|peers)|curl -s \S+\/query)\b/

/** Commands that go on until they are stopped. */
const LASTS = /^(?:npm start|millrace tail|curl -sN)\b/

/** The terminal of somebody who follows a guide: one bash, in which variables and jobs of earlier blocks live on. */
export class GuideShell implements AsyncDisposable {
  readonly #bash: ChildProcess
  readonly #answers: AsyncIterator<string>
  readonly #outputs: string
  #blocks = 0

  /** @param outputs a new directory */
  constructor(directory: string, home: string, outputs: string) {
    mkdirSync(outputs)
    this.#outputs = outputs
    // A group of its own, so that whatever a guide has started can be ended.
    const bash = spawn('bash', ['-eu'], {
      cwd: directory,
      detached: true,
      stdio: ['pipe', 'pipe', 'inherit'],
      env: {
        ...process.env,
        // Not of the reader: the hooks of tap, and how much the tests do.
        NODE_OPTIONS: undefined,
        MILLRACE_TEST_LEVEL: undefined,
        HOME: home,
        PATH: `${home}/.local/bin:${process.env['PATH'] ?? ''}`,
        NO_COLOR: '1',
      },
    })
    this.#bash = bash
    this.#answers = createInterface({ input: bash.stdout })[Symbol.asyncIterator]()
  }

  /**
   * Does what a step says until its reader sees what the guide promises.
   *
   * @returns what was seen
   * @throws Error when a command fails, or when something else is seen
   */
  async follow({ commands, seen, line }: GuideStep): Promise<string> {
    const lines = commands.trimEnd().split('\n')
    const mayRepeat = lines.every((text) => LOOKS.test(text))
    const deadline = performance.now() + PATIENCE_MS
    const isLasting = LASTS.test(commands)
    let output = isLasting ? this.#begin(commands) : await this.#run(commands)
    for (;;) {
      const text = readFileSync(output, 'utf8')
      const difference = seen === undefined ? undefined : whatDiffers(seen, text)
      if (difference === undefined) return text
      if ((!isLasting && !mayRepeat) || performance.now() > deadline) {
        throw new Error(`line ${String(line)}: ${difference}\n${commands}\n${text}`)
      }
      await delay(100)
      if (mayRepeat) output = await this.#run(commands)
    }
  }

  /** Sets a variable for the commands that follow. */
  async set(name: string, value: string): Promise<void> {
    await this.#run(`export ${name}='${value}'`)
  }

  /** Ends everything that was started. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { pid } = this.#bash
    if (pid === undefined) return
    const deadline = performance.now() + PATIENCE_MS
    for (let isFirst = true; signal(pid, isFirst ? 'SIGTERM' : 0); isFirst = false) {
      if (performance.now() > deadline) signal(pid, 'SIGKILL')
      await delay(50)
    }
  }

  /** @returns the file of what the commands have said */
  async #run(commands: string): Promise<string> {
    const output = this.#newOutput()
    this.#bash.stdin?.write(`{\n${commands}\n} </dev/null >'${output}' 2>&1\necho done\n`)
    const { done } = await this.#answers.next()
    if (done === true) throw new Error(`a command failed:\n${commands}\n${readFileSync(output, 'utf8')}`)
    return output
  }

  #begin(command: string): string {
    const output = this.#newOutput()
    writeFileSync(output, '')
    this.#bash.stdin?.write(`${command.trimEnd()} </dev/null >'${output}' 2>&1 &\n`)
    return output
  }

  #newOutput(): string {
    this.#blocks += 1
    return join(this.#outputs, String(this.#blocks))
  }
}

/** Whether there is somebody left in the group. */
function signal(group: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, name)
  } catch {
    return false
  }
}
