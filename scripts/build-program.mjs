// `node scripts/build-program.mjs DIR`: the program with everything that it loads, for this machine. The image is made of it.
import { ensureBuilt } from './lib/build-stamp.mjs'
import { ensureInstalled } from './lib/install.mjs'
import { makeProgramTree } from './lib/program-tree.mjs'

const [directory] = process.argv.slice(2)
if (directory === undefined) {
  console.error('usage: node scripts/build-program.mjs DIR')
  process.exit(2)
}
ensureInstalled()
ensureBuilt()
makeProgramTree(directory, { architecture: process.arch, nodePath: process.execPath })
