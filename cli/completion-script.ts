import type { Command, Options } from './command.js'
import { COMMON_OPTIONS } from './parse-call.js'

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

/** What may stand in place of a command. */
const OTHERS = ['help', 'version']

/** Values that are files or folders, by how the help names them. */
const PATHS = new Set(['FILE', 'DIR', 'PATH'])

interface Flag {
  readonly long: string
  readonly short: string | undefined
  readonly help: string
  /** What its value is: nothing, a path, or something that nobody can guess. */
  readonly takes: 'nothing' | 'path' | 'text'
}

/** The script that makes a shell complete the command line. */
export function completionScript(shell: Shell, commands: readonly Command[]): string {
  switch (shell) {
    case 'bash':
      return bashScript(commands)
    case 'zsh':
      return zshScript(commands)
    case 'fish':
      return fishScript(commands)
  }
}

function flagsOf({ options }: Command): Flag[] {
  const all: Options = { ...options, ...COMMON_OPTIONS }
  return Object.entries(all).map(([name, { type, short, value = '', help }]) => ({
    long: `--${name}`,
    short: short === undefined ? undefined : `-${short}`,
    help,
    takes: type === 'boolean' ? 'nothing' : PATHS.has(value) ? 'path' : 'text',
  }))
}

function namesOf({ long, short }: Flag): string[] {
  return short === undefined ? [long] : [long, short]
}

function bashScript(commands: readonly Command[]): string {
  const names = [...commands.map(({ name }) => name), ...OTHERS].join(' ')
  return [
    '# bash completion for millrace: eval "$(millrace completion bash)"',
    '_millrace() {',
    '  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}"',
    '  local flags="" paths="" texts="" words="" files=""',
    '  COMPREPLY=()',
    '  if [[ $COMP_CWORD -eq 1 ]]; then',
    `    mapfile -t COMPREPLY < <(compgen -W "${names} --help --version" -- "$current")`,
    '    return',
    '  fi',
    '  case "${COMP_WORDS[1]}" in',
    ...commands.flatMap(bashCommand),
    `    help) words="${commands.map(({ name }) => name).join(' ')}" ;;`,
    '  esac',
    '  if [[ " $paths " == *" $previous "* ]]; then files=yes words=""',
    '  elif [[ " $texts " == *" $previous "* ]]; then return',
    '  elif [[ "$current" == -* ]]; then files="" words="$flags"',
    '  fi',
    '  if [[ -n "$files" ]]; then',
    '    compopt -o filenames 2> /dev/null',
    '    mapfile -t COMPREPLY < <(compgen -f -- "$current")',
    '  fi',
    '  if [[ -n "$words" ]]; then',
    '    local found',
    '    mapfile -t found < <(compgen -W "$words" -- "$current")',
    '    COMPREPLY+=("${found[@]}")',
    '  fi',
    '}',
    'complete -F _millrace millrace',
    '',
  ].join('\n')
}

function bashCommand(command: Command): string[] {
  const flags = flagsOf(command)
  const taking = (takes: Flag['takes']): string =>
    flags
      .filter((flag) => flag.takes === takes)
      .flatMap(namesOf)
      .join(' ')
  const { words = [], files = false } = command.completes ?? {}
  return [
    `    ${command.name})`,
    `      flags="${flags.flatMap(namesOf).join(' ')}" paths="${taking('path')}" texts="${taking('text')}"`,
    `      words="${words.join(' ')}" files="${files ? 'yes' : ''}"`,
    '      ;;',
  ]
}

function zshScript(commands: readonly Command[]): string {
  return [
    '#compdef millrace',
    '# zsh completion for millrace: millrace completion zsh > "${fpath[1]}/_millrace"',
    '_millrace() {',
    '  if (( CURRENT == 2 )); then',
    '    local -a commands=(',
    ...commands.map(({ name, summary }) => `      ${quoteZsh(`${name}:${summary}`)}`),
    ...OTHERS.map((name) => `      ${name}`),
    '    )',
    "    _describe 'command' commands",
    '    return',
    '  fi',
    '  local command="$words[2]"',
    '  shift words',
    '  (( CURRENT-- ))',
    '  case "$command" in',
    ...commands.flatMap(zshCommand),
    '  esac',
    '}',
    // Loaded by hand or from fpath, which wants it called.
    'if [[ "${funcstack[1]}" == _millrace ]]; then _millrace "$@"; else compdef _millrace millrace; fi',
    '',
  ].join('\n')
}

function zshCommand(command: Command): string[] {
  const specs = flagsOf(command).map((flag) => {
    const help = `[${flag.help.replaceAll(/[[\]\\:]/g, '\\$&')}]`
    const value = flag.takes === 'nothing' ? '' : flag.takes === 'path' ? ':path:_files' : ':value: '
    return namesOf(flag).map((name) => `      ${quoteZsh(`*${name}${help}${value}`)} \\`)
  })
  const { words = [], files = false } = command.completes ?? {}
  const choices = words.length === 0 ? [] : [`      ${quoteZsh(`1:what:(${words.join(' ')})`)} \\`]
  const rest = files ? [`      '*:file:_files'`] : [`      '*: : '`]
  return [`    ${command.name})`, '      _arguments -s \\', ...specs.flat(), ...choices, ...rest, '      ;;']
}

function quoteZsh(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

function fishScript(commands: readonly Command[]): string {
  return [
    '# fish completion for millrace: millrace completion fish > ~/.config/fish/completions/millrace.fish',
    'complete -c millrace -f',
    ...commands.map(
      ({ name, summary }) => `complete -c millrace -n __fish_use_subcommand -a ${name} -d ${quoteFish(summary)}`,
    ),
    ...OTHERS.map((name) => `complete -c millrace -n __fish_use_subcommand -a ${name}`),
    ...commands.flatMap(fishCommand),
    '',
  ].join('\n')
}

function fishCommand(command: Command): string[] {
  const begin = `complete -c millrace -n ${quoteFish(`__fish_seen_subcommand_from ${command.name}`)}`
  const flags = flagsOf(command).map(({ long, short, help, takes }) => {
    const names = `-l ${long.slice(2)}${short === undefined ? '' : ` -s ${short.slice(1)}`}`
    const value = takes === 'nothing' ? '' : takes === 'path' ? ' -r -F' : ' -x'
    return `${begin} ${names}${value} -d ${quoteFish(help)}`
  })
  const { words = [], files = false } = command.completes ?? {}
  const choices = words.length === 0 ? [] : [`${begin} -a ${quoteFish(words.join(' '))}`]
  return [...flags, ...choices, ...(files ? [`${begin} -F`] : [])]
}

function quoteFish(text: string): string {
  return `'${text.replaceAll(/['\\]/g, '\\$&')}'`
}
