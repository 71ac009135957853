import { Random } from '../support/random.js'
import { ApiClient } from '../support/api-client.js'
import { fuzzNode, type Fuzzed } from './fuzz-node.js'
import { mutate } from './mutate.js'
import { check, type PartResult, type Tally, type Trials } from './part.js'

export const name = 'fuzz-aql'

export const nightlyCount = 1_000_000

const SEEDS = [
  "FROM 'a' END",
  "FROM 'a' & 'b' | ('c' & !'d')",
  'FROM allEvents & isLocal & appId(com.example.proof) & appId(me)',
  "FEATURES(eventKeyRange timeRange) FROM 'a' & from(2020-01-01T00:00:00.000Z) & to(2030-01-01)",
  `FROM 'a' & from(5/${'.'.repeat(43)}-0) FILTER _.a > 3 & IsDefined(_.b.c[0]) SELECT { x: _.a, 'y z': _.b.c[(0 + 1)] }`,
  "FROM 'a' LET x := _.a * 2 ^ 3 % 5 FILTER x >= -1.5e3 ∨ ¬(x < 4) SELECT [x, ...], x",
  'FEATURES(aggregate) FROM allEvents AGGREGATE { n: SUM(1), m: MAX(_.a), f: FIRST(_), l: LAST(_), p: PRODUCT(_.a ?? 1) } END',
  "FEATURES(subQuery) FROM 'a' LET s := FROM 'b' & `n:{_.a}` END SELECT s[0]",
  "FEATURES(fromArray) FROM [1, 2.50, \"x\", 'it''s', NULL, TRUE, {a: [1]}] SELECT _",
  'FEATURES(multiEmission spread) FROM allEvents SELECT ...[1, 2], _.a',
  'FEATURES(interpolation) FROM allEvents SELECT `a {_.a} b`, CASE _.a > 3 => 1 CASE TRUE => 2 ENDCASE',
  "FEATURES(limit binding) FROM 'a' ORDER DESC LIMIT 3 SELECT KEY(_), TIME(_), TAGS(_), APP(_)",
  "-- comment\nFROM 'a' FILTER _.`b`.c[0] = NUMBER('1.5') | IsDefined(_.['a'])",
  'PRAGMA events\n{"payload":1}\nENDPRAGMA\nFROM allEvents',
].map((text) => Buffer.from(text))

// prettier-ignore
const WORDS = [
  'FROM', 'FILTER', 'SELECT', 'LET', 'END', 'AGGREGATE', 'LIMIT', 'ORDER', 'ASC', 'STREAM', 'FEATURES(', 'CASE', 'ENDCASE', 'PRAGMA features ',
  '(', ')', '[', ']', '{', '}', '`', "'", '"', '_', '.', '..', '...', ':=', '=>', '??', '&', '|', '!', '¬', '∧', '∨', '⊻', '^', '%', '*', '/', '-', '+',
  '=', '!=', '≠', '<', '≤', '>=', 'KEY(_)', 'isLocal', 'appId(', 'from(', 'to(', 'SUM(', 'IsDefined(', '1e999', '0x', '-- ', '\n', '\u2028', '\ud83d', 'é',
]

/** Connections are shared by the lanes; each query waits its turn. */
const POOL = 16
const TIMEOUT_MS = 30_000

export function unavailable(): string | undefined {
  return undefined
}

/** Mutated queries on all three endpoints' parser: an answer or a refusal, never a 5xx, never a hang. */
export async function run(trials: Trials): Promise<PartResult> {
  const pool: ApiClient[] = []
  try {
    return await fuzzNode(name, trials, (fuzzed, trial, tally) => ask(pool, fuzzed, trial, tally))
  } finally {
    for (const client of pool) client.close()
  }
}

async function ask(pool: ApiClient[], { node, client }: Fuzzed, trial: number, tally: Tally): Promise<void> {
  const random = new Random(trial)
  const query = mutate(random, SEEDS, WORDS).toString()
  const order = random.pick(['asc', 'desc', 'stream-asc'])
  let connection = pool[trial % POOL]
  if (connection === undefined || connection.connection.closed) {
    connection = await ApiClient.open(node.port, client.token)
    pool[trial % POOL] = connection
  }
  const timer = setTimeout(() => {
    connection.close()
  }, TIMEOUT_MS)
  try {
    const { status } = await connection.query(query, order)
    tally.note(`status ${String(status)}`)
    check([200, 400, 418].includes(status), () => `status ${String(status)} for ${JSON.stringify(query.slice(0, 400))}`)
  } catch (error) {
    throw new Error(`no whole answer to ${JSON.stringify(query.slice(0, 400))}`, { cause: error })
  } finally {
    clearTimeout(timer)
  }
}
