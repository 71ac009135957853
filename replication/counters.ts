import type { TransportCounters } from './transport.js'

/** The counters as their transport writes them. */
export type MutableCounters = { -readonly [Key in keyof TransportCounters]: number }

export function createCounters(): MutableCounters {
  return {
    sentMessages: 0,
    sentBytes: 0,
    receivedMessages: 0,
    receivedBytes: 0,
    duplicates: 0,
    rejected: 0,
    dropped: 0,
    requestsSent: 0,
    requestsAnswered: 0,
    answerBytesSent: 0,
    answerBytesReceived: 0,
    keyMismatches: 0,
    cuts: 0,
  }
}
