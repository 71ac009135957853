// Writes what is made from the one definition of the settings: the reference, the example and its schema. Run after a build.
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'
import { configurationReference, exampleConfig, settingsJsonSchema } from '../dist/config/index.js'

const root = fileURLToPath(new URL('../', import.meta.url))
const write = async (path, text) => {
  const options = await resolveConfig(root + path)
  writeFileSync(root + path, await format(text, { ...options, filepath: root + path }))
}

mkdirSync(`${root}examples`, { recursive: true })
mkdirSync(`${root}docs`, { recursive: true })
await write('docs/configuration.md', configurationReference())
await write('examples/millrace.yml', exampleConfig())
await write('examples/millrace.schema.json', JSON.stringify(settingsJsonSchema()))
