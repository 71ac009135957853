import { variableOf } from './environment.js'
import { AGE_PATTERN, INTERVAL_PATTERN, SIZE_PATTERN } from './quantities.js'
import { isOnlyForFiles, leavesOf, type Leaf, type SchemaNode } from './schema-node.js'
import { settingsSchema } from './settings-schema.js'

const SCHEMA = settingsSchema as SchemaNode

/** The text of docs/configuration.md. */
export function configurationReference(): string {
  const sections = [...groupLeaves()].map(([name, leaves]) => renderGroup(name, leaves))
  return [INTRODUCTION, ...sections, LIMITS, renderLimits(), SWARM, FORMS].join('\n\n') + '\n'
}

const INTRODUCTION = `# Configuration

<!-- Made by scripts/generate-config-docs.mjs from config/settings-schema.ts; edit there. -->

\`millrace run --config millrace.yml\` reads one YAML file. Every key is optional. \`millrace config example\` prints a file to
start from, \`millrace config schema\` the JSON Schema (draft-07) that editors use, and \`millrace config check FILE\` lists
everything that is wrong with a file, each with line, column and the mend. A file with an error is refused as a whole: at start
the daemon ends with exit code 78, at a reload (\`SIGHUP\`) the settings in force stay.

Where a setting comes from, strongest first: flag (\`--data\`, \`--api\`, \`--socket\`), environment variable, file, default.
The value of an environment variable is YAML; routes and limits of streams can be set only in the file. An empty variable
counts as unset. A variable that begins like a setting and is none is an error. Relative paths in the file start at the
folder of the file, others at the working directory.`

const LIMITS = `## Limits of streams

Below \`eventRouting.streams.<name>\`. All are optional; what is absent or \`null\` does not limit. All limits hold at once and
the tightest decides. Only whole blocks go, from the oldest on, so a stream can hold up to one block more than its limit says.
A value beyond 2^53-1 (bytes, microseconds, events) counts as none, with a warning.

\`\`\`yaml
eventRouting:
  routes:
    - from: "'hangar-18' | 'area-42'"
      into: top-secret
  streams:
    top-secret: { maxAge: 41m, maxSize: 700MB, maxEvents: 9 }
\`\`\`

Names of streams consist of letters, digits, \`_\` and \`-\`. The stream \`default\` is permanent: it can be the target of a route
but has no limits. Limits of a stream that no route leads to are a warning. The two-item form of the published Actyx
tutorial (\`- from: …\` followed by \`- into: …\`) is read as one route.`

const SWARM = `## A swarm

Nodes with the same key and topic share their events. A configuration of one of them:

\`\`\`yaml
swarm:
  keyFile: swarm.key # 44 characters, from: millrace swarm keygen > swarm.key
  peers: [/dns/gateway.local/tcp/4001]
replication:
  streams: [measurements]
  keep:
    measurements: { maxAge: 7d }
eventRouting:
  routes:
    - from: "'private'"
      into: own
  streams:
    own: { replicate: false }
\`\`\`

\`replication.keep.<name>\` takes \`maxEvents\`, \`maxSize\` and \`maxAge\`, for what this node holds of streams of that name of all
other nodes; \`"*"\`, in quotes, stands for all names that are not listed. What the owner of a stream drops goes here too,
whatever is set. The stream \`default\` of others can be limited like any.

Who has the key is a member: keep it out of reach of others. Messages about a configuration show asterisks in its place. An
error in a file, such as a key that does not decode or a multiaddr that cannot be dialled, is told by \`millrace config check\`.`

const FORMS = `## Forms

- **size**: a whole number and a unit without blank: \`B\`, \`kB\`, \`MB\`, \`GB\` (powers of 1000), \`KiB\`, \`MiB\`, \`GiB\` (powers
  of 1024). Outside of \`maxSize\` a number without unit means bytes.
- **age**: a whole number and \`s\`, \`m\`, \`h\`, \`d\` or \`w\`.
- **time**: a whole number and \`ms\`, \`s\`, \`m\`, \`h\` or \`d\`.`

function groupLeaves(): Map<string, Leaf[]> {
  const groups = new Map<string, Leaf[]>()
  for (const leaf of leavesOf(SCHEMA)) {
    const name = leaf.path.length > 1 ? (leaf.path[0] ?? '') : ''
    groups.set(name, [...(groups.get(name) ?? []), leaf])
  }
  return groups
}

function renderGroup(name: string, leaves: readonly Leaf[]): string {
  const description = SCHEMA.properties?.[name]?.description
  const title = name === '' ? '## Top level' : `## \`${name}\`\n\n${description ?? ''}.`
  return [title, ...leaves.map(renderLeaf)].join('\n\n')
}

function renderLeaf({ path, schema }: Leaf): string {
  const lines = [`### \`${path.join('.')}\``, '', `${schema.description ?? ''}.`, '', `- Form: ${formOf(schema)}`]
  lines.push(`- Default: ${defaultOf(schema)}`)
  lines.push(`- Environment: ${isOnlyForFiles(schema) ? 'only in the file' : `\`${variableOf(path)}\``}`)
  return lines.join('\n')
}

function renderLimits(): string {
  const streams = leavesOf(SCHEMA).find(({ path }) => path.at(-1) === 'streams')?.schema
  const [limits] = Object.values(streams?.patternProperties ?? {})
  const rows = Object.entries(limits?.properties ?? {}).map(
    ([key, schema]) => `| \`${key}\` | ${formOf(schema)} | ${schema.description ?? ''} |`,
  )
  return ['| Key | Form | Meaning |', '| --- | --- | --- |', ...rows].join('\n')
}

function formOf(schema: SchemaNode): string {
  if (schema.anyOf !== undefined) {
    const forms = schema.anyOf.filter((form) => form.type !== 'null').map(formOf)
    return [...new Set(forms)].join(' or ')
  }
  if (schema.const !== undefined) return `\`${schema.const}\``
  if (schema.type === 'integer') return integerForm(schema)
  if (schema.type === 'boolean') return '`true` or `false`'
  if (schema.type === 'array') return `list of ${schema.items === undefined ? 'texts' : itemsOf(schema.items)}`
  if (schema.type === 'object')
    return schema.patternProperties === undefined ? membersOf(schema) : 'map of names to limits'
  return { [SIZE_PATTERN]: 'size', [AGE_PATTERN]: 'age', [INTERVAL_PATTERN]: 'time' }[schema.pattern ?? ''] ?? 'text'
}

function itemsOf(items: SchemaNode): string {
  return (items.anyOf ?? [items]).map((item) => (item.type === 'object' ? membersOf(item) : 'texts')).join(' or ')
}

function membersOf(schema: SchemaNode): string {
  return `\`{ ${Object.keys(schema.properties ?? {}).join(', ')} }\``
}

function integerForm({ minimum, maximum }: SchemaNode): string {
  if (minimum === undefined) return 'whole number'
  return maximum === undefined
    ? `whole number, at least ${String(minimum)}`
    : `whole number, ${String(minimum)} to ${String(maximum)}`
}

function defaultOf({ default: value }: SchemaNode): string {
  if (value === null) return 'see above'
  if (Array.isArray(value)) return value.length === 0 ? 'empty' : value.map((item) => `\`${String(item)}\``).join(', ')
  return typeof value === 'object' ? 'empty' : `\`${JSON.stringify(value).replaceAll('"', '')}\``
}
