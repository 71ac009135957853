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

# swarm: # share events with other nodes; without a key there is no swarm
#   keyFile: ./swarm.key # 44 characters, the same on all nodes; new: millrace swarm keygen > swarm.key
#   listen: [/ip4/0.0.0.0/tcp/4001, /ip6/::/tcp/4001]
#   peers: [/dns/gateway.local/tcp/4001] # besides those found in the local network
#   topic: default-topic # nodes of other topics hear nothing of it

# replication: # what is fetched of other nodes, and how long it stays; by default all, as long as their owners keep it
#   streams: [measurements]
#   keep:
#     "*": { maxAge: 7d }

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

/**
 * The configuration of a new node: everything of the example is commented out but where the data are and, in a swarm, the
 * file of its key.
 */
export function firstConfig(withSwarm: boolean): string {
  let isRouting = false
  return exampleConfig()
    .split('\n')
    .map((line) => {
      isRouting ||= line.startsWith('eventRouting:')
      if (line.startsWith('# data:')) return 'data: ./data # identity, keys and events; relative to this file'
      if (withSwarm && /^# {1,3}(?:swarm|keyFile):/.test(line)) return line.replace('# ', '')
      return isRouting && line !== '' ? `# ${line}` : line
    })
    .join('\n')
}
