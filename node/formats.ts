import { PROTOCOLS } from '../replication/index.js'
import { FORMAT_VERSION } from '../storage/index.js'
import { API_VERSION } from './api/index.js'

/** Versions of what a node shares with others: its disk with later versions, its API with apps, its protocols with nodes. */
export const FORMATS = { data: FORMAT_VERSION, api: API_VERSION, protocols: PROTOCOLS } as const
