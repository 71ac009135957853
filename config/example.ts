/**
 * A configuration file to start from. Everything that is not commented out is in force: two routes, and two streams
 * with limits. The first line tells editors where the schema is.
 */
export function exampleConfig(): string {
  return `# yaml-language-server: $schema=./millrace.schema.json
# Configuration of a millrace node. Every key is optional; docs/configuration.md explains them all.
# For completion in editors: millrace config schema > millrace.schema.json

# admin:
#   displayName: Gateway 7

# data: ./millrace-data # identity, keys and events; relative to this file

# api:
#   listen: 127.0.0.1:4454 # or a list; beyond loopback all but /health needs a token
#   apps: [com.acme.*] # besides com.example.*
#   hosts: [gateway.local]
#   origins: ["https://app.example"]

# log:
#   level: info
#   format: auto

# storage:
#   sync: always # acknowledged events survive a power cut; weaker: os, { interval: 100 }
#   pruneInterval: 60s

eventRouting:
  # The first route whose expression matches decides. Without a match the stream 'default' takes the event, for ever.
  routes:
    - from: "'sensor'"
      into: measurements
    - from: "'log' | 'metrics' & appId(com.example.probe)"
      into: diagnostics
  # Whole blocks of the oldest events go once all of a block is beyond a limit.
  streams:
    measurements: { maxAge: 14d, maxSize: 700MB }
    diagnostics: { maxEvents: 10000, maxBlockAge: 1h }
`
}
