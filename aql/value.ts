import type { Meta } from './metadata.js'

/** One shape for all values keeps property access fast; `kind` tells the type of `data`. */
interface Typed<Kind extends string, Data> {
  readonly kind: Kind
  readonly data: Data
  /** What the value stems from; `undefined` for what was written in the query and computed from it. */
  readonly meta: Meta | undefined
}

export type Value =
  | Typed<'null', null>
  | Typed<'boolean', boolean>
  /** Unsigned, 64 bits; a `bigint` only beyond 2^53-1. */
  | Typed<'natural', number | bigint>
  /** A negative integer of a payload: computes and compares as a decimal, prints as an integer. */
  | Typed<'integer', number | bigint>
  /** Finite. */
  | Typed<'decimal', number>
  | Typed<'string', string>
  | Typed<'array', readonly Value[]>
  | Typed<'object', readonly ObjectMember[]>
  /** Microseconds since 1970. */
  | Typed<'timestamp', number | bigint>
  | Typed<'bytes', Uint8Array>
  /** Array or object of a payload, still as text. */
  | Typed<'json', JsonSlice>

/** Member of a constructed object; keys are unique. A natural key differs from the string of its digits. */
export interface ObjectMember {
  readonly key: string | bigint
  readonly value: Value
}

/** JSON text without white space outside of strings, from `start` to `end` (exclusive). */
export interface JsonSlice {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

export type FailureKind =
  | 'unbound-variable'
  | 'not-found'
  | 'not-an-index'
  | 'type'
  | 'incomparable'
  | 'not-a-boolean'
  | 'overflow'
  | 'division-by-zero'
  | 'not-a-number'
  | 'not-spreadable'
  | 'no-case'
  | 'wrong-arity'
  | 'undefined-function'
  | 'no-value'
  | 'aggregate-type'
  | 'aggregator-placement'
  | 'key-type'
  | 'empty-tag'
  | 'ranges-differ'
  | 'too-large'

/** An expression that could not be evaluated. A plain value, since `??` and `IsDefined` make such outcomes ordinary. */
export interface Failure {
  readonly kind: 'failure'
  readonly failure: FailureKind
  readonly message: string
}

export type Result = Value | Failure

export function failure(kind: FailureKind, message: string): Failure {
  return { kind: 'failure', failure: kind, message }
}

export function nullValue(meta?: Meta): Value {
  return { kind: 'null', data: null, meta }
}

export function booleanValue(data: boolean, meta: Meta | undefined): Value {
  return { kind: 'boolean', data, meta }
}

/** @param data 0 ≤ data < 2^64; a bigint within the safe integers is narrowed */
export function naturalValue(data: number | bigint, meta?: Meta): Value {
  return { kind: 'natural', data: typeof data === 'bigint' ? narrow(data) : data, meta }
}

export function integerValue(data: number | bigint, meta?: Meta): Value {
  return { kind: 'integer', data: typeof data === 'bigint' ? narrow(data) : data, meta }
}

export function decimalValue(data: number, meta: Meta | undefined): Value {
  return { kind: 'decimal', data, meta }
}

export function stringValue(data: string, meta?: Meta): Value {
  return { kind: 'string', data, meta }
}

export function arrayValue(data: readonly Value[], meta: Meta | undefined): Value {
  return { kind: 'array', data, meta }
}

export function objectValue(data: readonly ObjectMember[], meta: Meta | undefined): Value {
  return { kind: 'object', data, meta }
}

export function timestampValue(data: number | bigint, meta?: Meta): Value {
  return { kind: 'timestamp', data: typeof data === 'bigint' ? narrow(data) : data, meta }
}

export function bytesValue(data: Uint8Array): Value {
  return { kind: 'bytes', data, meta: undefined }
}

/** The same value as it stems from something else. */
export function withMeta(value: Value, meta: Meta | undefined): Value {
  return value.meta === meta ? value : { ...value, meta }
}

function narrow(data: bigint): number | bigint {
  const near = Number(data)
  return Number.isSafeInteger(near) ? near : data
}

/** The name of a value's type as people know it. */
export function typeName(value: Value): string {
  switch (value.kind) {
    case 'natural':
    case 'integer':
    case 'decimal':
      return 'number'
    case 'json':
      return value.data.bytes[value.data.start] === 0x5b ? 'array' : 'object'
    default:
      return value.kind
  }
}
