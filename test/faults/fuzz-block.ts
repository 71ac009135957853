import { encodeSamples, fuzzDecoders } from '../storage/block-fuzz.js'
import { Random } from '../support/random.js'
import { mutate } from './mutate.js'
import { runTrials, type PartResult, type Trials } from './part.js'

export const name = 'fuzz-block'

export const nightlyCount = 1_000_000

const WORDS = ['\0', '\0\0\0\0', '\u00ff', '{"type":"event"', '}\n', '\n', ',"payload":', ',"appId":"', ',"tags":[']

export function unavailable(): string | undefined {
  return undefined
}

/** Damaged and forged bytes for the decoders of blocks, tails and summaries: the truth, or a named error. */
export async function run(trials: Trials): Promise<PartResult> {
  const samples = await encodeSamples()
  return runTrials(trials, (number) => {
    const random = new Random(number)
    return fuzzDecoders(random, samples, (bytes) => mutate(random, [bytes], WORDS))
  })
}
