/** What the API has done since start, for the metrics. */
export interface ApiCounters {
  /** Requests over HTTP. */
  httpRequests: number
  /** Answers by status. */
  readonly httpStatuses: Map<number, number>
  /** Messages from WebSocket clients. */
  socketMessages: number
  socketsOpen: number
  /** Requests of WebSocket connections under way, subscriptions included. */
  socketRequestsOpen: number
  /** Streams over HTTP under way. */
  httpStreamsOpen: number
  /** Connections cut because their reader took nothing. */
  readersCut: number
}

export function newCounters(): ApiCounters {
  return {
    httpRequests: 0,
    httpStatuses: new Map(),
    socketMessages: 0,
    socketsOpen: 0,
    socketRequestsOpen: 0,
    httpStreamsOpen: 0,
    readersCut: 0,
  }
}
