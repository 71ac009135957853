import { readFile, writeFile } from 'node:fs/promises'
import { MODELS, type Operation } from './kinds.js'

/** One JSON object a line, in no order that matters; README.md beside this file describes it. */
export function formatHistory(history: readonly Operation[]): string {
  return history.map((operation) => `${JSON.stringify(operation)}\n`).join('')
}

/** @throws SyntaxError with the number of the line that is none of a history */
export function parseHistory(text: string): Operation[] {
  return text.split('\n').flatMap((line, at) => (line === '' ? [] : [parseOperation(line, at + 1)]))
}

export async function writeHistory(file: string, history: readonly Operation[]): Promise<void> {
  await writeFile(file, formatHistory(history))
}

export async function readHistory(file: string): Promise<Operation[]> {
  return parseHistory(await readFile(file, 'utf8'))
}

function parseOperation(line: string, number: number): Operation {
  let operation: unknown
  try {
    operation = JSON.parse(line)
  } catch (error) {
    throw new SyntaxError(`line ${number} is no JSON`, { cause: error })
  }
  const fault = faultOf(operation)
  if (fault !== undefined) throw new SyntaxError(`line ${number}: ${fault}`)
  return operation as Operation
}

/** What is wrong with the frame of an operation; inputs and answers are for the models to judge. */
function faultOf(operation: unknown): string | undefined {
  if (typeof operation !== 'object' || operation === null) return 'not an object'
  const { client, kind, key, input, output, outcome, invoked, returned } = operation as Record<string, unknown>
  if (!Number.isSafeInteger(client)) return 'client is no whole number'
  if (typeof kind !== 'string' || !Object.hasOwn(MODELS, kind)) {
    return `kind is none of ${Object.keys(MODELS).join(', ')}`
  }
  if (typeof key !== 'string') return 'key is no string'
  if (typeof (input as { op?: unknown } | undefined)?.op !== 'string') return 'input has no op'
  if (!Number.isSafeInteger(invoked)) return 'invoked is no whole number of µs'
  if (outcome === 'unknown') return undefined
  if (outcome !== 'ok' && outcome !== 'fail') return 'outcome is none of ok, fail, unknown'
  if (!Number.isSafeInteger(returned)) return 'returned is no whole number of µs'
  if ((returned as number) < (invoked as number)) return 'returned is before invoked'
  return outcome === 'fail' || (typeof output === 'object' && output !== null) ? undefined : 'output is no object'
}
