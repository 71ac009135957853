/** Bytes of a key, in UTF-8 and with its namespace. */
export const MAX_KEY_BYTES = 1024

/** Bytes of a value as JSON. */
export const MAX_VALUE_BYTES = 1024 * 1024

/** Milliseconds for which the answer to a request id or an idempotency key is remembered. */
export const REMEMBERED_MS = 24 * 60 * 60 * 1000

/** Request ids of one app that are remembered; the oldest go first. */
export const REMEMBERED_REQUESTS = 100_000

/** Counters lie from here on unless the caller says otherwise: what 64 bits hold. */
export const COUNTER_MIN = -(2n ** 63n)

/** As {@link COUNTER_MIN}, up to here. */
export const COUNTER_MAX = 2n ** 63n - 1n
