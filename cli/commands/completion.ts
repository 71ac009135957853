import type { Call, Command } from '../command.js'
import { completionScript, SHELLS } from '../completion-script.js'
import { EXIT } from '../exit-codes.js'
import { write } from '../terminal.js'
import { unknownAction } from '../unknown-action.js'

/** @param commands all of them, this one too */
export function completionOf(commands: () => readonly Command[]): Command {
  return {
    name: 'completion',
    summary: 'Print the script that makes a shell complete this command',
    usage: 'bash | zsh | fish',
    details: [
      'bash: in ~/.bashrc, eval "$(millrace completion bash)"',
      'zsh: millrace completion zsh > "${fpath[1]}/_millrace", or in ~/.zshrc behind compinit, eval "$(millrace completion zsh)"',
      'fish: millrace completion fish > ~/.config/fish/completions/millrace.fish',
    ].join('\n'),
    examples: ['eval "$(millrace completion bash)"'],
    options: {},
    completes: { words: SHELLS },
    mostArguments: 1,
    run: (call) => printScript(call, commands()),
  }
}

async function printScript(call: Call, commands: readonly Command[]): Promise<number> {
  const [given] = call.args
  const shell = SHELLS.find((name) => name === given)
  if (shell === undefined) throw unknownAction(given, SHELLS)
  await write(call.terminal.stdout, completionScript(shell, commands))
  return EXIT.ok
}
