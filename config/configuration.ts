import { createHash } from 'node:crypto'
import { accessSync, constants, realpathSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { ConfigChangedError, ConfigError, ConfigFixedError } from './config-error.js'
import { checkDraftText, loadSettings, readText, type LoadedSettings, type LoadRequest } from './load-settings.js'
import type { Problem } from './problem.js'
import { replaceFile } from './replace-file.js'
import { DRAFT, inDraft, routingText, spliceRouting } from './routing-section.js'
import type { Settings } from './settings.js'
import { reasonOf } from './unreadable.js'

/** The part of the file that says where events go. */
export interface RoutingText {
  /** The file as it was named; `undefined` where the node was started without one. */
  readonly file: string | undefined
  /** What stands below `eventRouting:`, comments included. */
  readonly text: string
  /** Of the whole file: another one when anything of it is changed. */
  readonly version: string
  /** Why it cannot be changed from here, if so. */
  readonly fixed: string | undefined
}

/** What a draft would mean. Places are those in the draft, but for errors that lie elsewhere. */
export interface DraftCheck {
  /** Absent when there are problems. */
  readonly settings?: Settings
  readonly problems: readonly Problem[]
  readonly warnings: readonly Problem[]
}

/** Who may give a file to any user. */
const ROOT = 0

/** The configuration of a node that runs: where its settings come from, and how the file may be changed. */
export class Configuration {
  readonly #request: LoadRequest
  #loaded: LoadedSettings | undefined
  #writing: Promise<unknown> = Promise.resolve()

  constructor(request: LoadRequest) {
    this.#request = request
  }

  /** Reads everything again. @throws ConfigError, ConfigUnreadableError */
  load(): LoadedSettings {
    return (this.#loaded = loadSettings(this.#request))
  }

  /** As it was read last. */
  get loaded(): LoadedSettings {
    return this.#loaded ?? this.load()
  }

  /** @throws ConfigUnreadableError */
  routing(): RoutingText {
    const { file } = this.#request
    const text = this.#fileText()
    const version = versionOf(text)
    try {
      const section = routingText(text)
      return { file, text: section, version, fixed: this.#whyFixed() }
    } catch (error) {
      if (!(error instanceof ConfigFixedError)) throw error
      return { file, text: '', version, fixed: error.message }
    }
  }

  /**
   * What the settings would be with another text below `eventRouting:`.
   *
   * @throws ConfigUnreadableError, ConfigFixedError
   */
  check(draft: string): DraftCheck {
    const alone = checkDraftText(draft)
    // A broken draft would make the parser stumble over the rest of the file.
    if (alone.problems.length > 0) return alone
    const spliced = spliceRouting(this.#fileText(), draft)
    try {
      const { settings, warnings } = loadSettings({ ...this.#request, file: this.#fileName, text: spliced.text })
      const own = warnings.map((warning) => inDraft(warning, spliced)).filter(({ source }) => source === DRAFT)
      return { settings, problems: [], warnings: own }
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      return { problems: error.problems.map((problem) => inDraft(problem, spliced)), warnings: alone.warnings }
    }
  }

  /**
   * Writes the text below `eventRouting:` into the file, where everything else stays as it is. Does not apply it.
   *
   * @param version of what the draft was made from
   * @throws ConfigError, ConfigChangedError, ConfigFixedError, ConfigUnreadableError; then the file is as it was
   */
  writeRouting(draft: string, version: string): Promise<void> {
    const written = this.#writing.then(() => this.#write(draft, version))
    this.#writing = written.catch(() => undefined)
    return written
  }

  async #write(draft: string, version: string): Promise<void> {
    const fixed = this.#whyFixed()
    if (fixed !== undefined) throw new ConfigFixedError(fixed)
    const text = this.#fileText()
    if (versionOf(text) !== version) {
      throw new ConfigChangedError('the configuration file was changed meanwhile; look at it again')
    }
    const { problems } = this.check(draft)
    if (problems.length > 0) throw new ConfigError(problems)
    await replaceFile(this.#path, spliceRouting(text, draft).text)
  }

  get #fileName(): string {
    return this.#request.file ?? DRAFT
  }

  get #path(): string {
    return resolve(this.#request.directory ?? process.cwd(), this.#fileName)
  }

  #fileText(): string {
    return this.#request.file === undefined ? '' : readText(this.#path, this.#fileName)
  }

  #whyFixed(): string | undefined {
    if (this.#request.file === undefined) return 'the node was started without a configuration file'
    try {
      const path = realpathSync(this.#path)
      const user = process.getuid?.() ?? ROOT
      if (user !== ROOT && statSync(path).uid !== user) {
        return 'the configuration file belongs to another user than the one that the node runs as'
      }
      // What is written is a new file beside it.
      accessSync(dirname(path), constants.W_OK)
      return undefined
    } catch (error) {
      return `the node may not write beside its configuration file: ${reasonOf(error)}`
    }
  }
}

function versionOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}
