import { tooManyValues } from './fault.js'
import { readElement, readElements, readMember } from './json-slice.js'
import type { Scope } from './compiled.js'
import { failure, typeName, withMeta, type Failure, type Result, type Value } from './value.js'

/** Bytes of a payload that are searched at the price of one cell. */
const SEARCHED_PER_CELL = 16

/** What an index says: a property by name, or a position. */
export type Step = string | number | bigint

/** The property or element of a value, with the metadata of the value. */
export function accessStep(value: Value, step: Step, scope: Scope): Result {
  const found = typeof step === 'string' ? property(value, step, scope) : element(value, step, scope)
  if (found === undefined) return notFoundIn(`a value of type ${typeName(value)}`, step)
  return found.kind === 'failure' ? found : withMeta(found, value.meta)
}

function property(value: Value, name: string, scope: Scope): Result | undefined {
  if (value.kind === 'json') return searched(value, scope) ?? readMember(value.data, name, value.meta)
  if (value.kind === 'object') return value.data.find((member) => member.key === name)?.value
  return undefined
}

function element(value: Value, index: number | bigint, scope: Scope): Result | undefined {
  if (value.kind === 'json') return searched(value, scope) ?? readElement(value.data, Number(index), value.meta)
  if (value.kind === 'array') return value.data[Number(index)]
  if (value.kind === 'object') return value.data.find((member) => member.key === BigInt(index))?.value
  return undefined
}

function searched(value: Value & { readonly kind: 'json' }, scope: Scope): Failure | undefined {
  return scope.charge((value.data.end - value.data.start) / SEARCHED_PER_CELL)
}

/** @param place where the step was taken, for people */
export function notFoundIn(place: string, step: Step): Failure {
  const what = typeof step === 'string' ? `property \`${step.slice(0, 100)}\`` : `element ${String(step)}`
  return failure('not-found', `${what} not found in ${place}`)
}

/** The step that a computed index stands for. */
export function toStep(value: Value): Step | Failure {
  if (value.kind === 'string' || value.kind === 'natural') return value.data
  return failure('not-an-index', `a value of type ${typeName(value)} is not an index`)
}

/**
 * The elements of an array, each as its own value; they keep their own metadata.
 *
 * @throws FatalFault when there are too many
 */
export function elementsOf(value: Value, scope: Scope): readonly Value[] | Failure {
  const max = scope.world.limits.maxValues
  if (value.kind === 'array') return value.data.length > max ? tooManyValues(max) : value.data
  if (value.kind === 'json' && typeName(value) === 'array') {
    const tooLarge = searched(value, scope)
    if (tooLarge !== undefined) return tooLarge
    return readElements(value.data, value.meta, max) ?? tooManyValues(max)
  }
  return failure('not-spreadable', `cannot spread a value of type ${typeName(value)}`)
}
