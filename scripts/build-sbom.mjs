// `npm run sbom --silent > FILE`: the bill of materials of the program, CycloneDX 1.5.
import { createSbom } from './lib/sbom.mjs'

process.stdout.write(createSbom())
