import type { Condition, Fence, Operation, Ttl, TxnRequest } from '../../state/index.js'

/** What a transaction asks for, as JSON; values stay the texts that they are. */
export function renderTxnDetail(request: TxnRequest): string {
  const { if: conditions, then, else: otherwise, append, requestId, fencedBy } = request
  const parts = [
    `"if":[${conditions.map(renderCondition).join(',')}]`,
    `"then":[${then.map(renderOperation).join(',')}]`,
    `"else":[${otherwise.map(renderOperation).join(',')}]`,
    `"append":[${append.map(renderAppend).join(',')}]`,
  ]
  if (requestId !== undefined) parts.push(`"requestId":${JSON.stringify(requestId)}`)
  if (fencedBy !== undefined) parts.push(`"fencedBy":${renderFence(fencedBy)}`)
  return `{${parts.join(',')}}`
}

function renderFence({ lock, fence }: Fence): string {
  return JSON.stringify({ lock, fence: String(fence) })
}

function renderCondition(condition: Condition): string {
  if (condition.kind === 'stream') {
    const { streamNumber, offset } = condition
    return JSON.stringify({ streamNumber, offset })
  }
  if (condition.kind === 'lock') return renderFence(condition)
  const { key, version, value, exists } = condition
  const plain = JSON.stringify({ key, ...(version === undefined ? {} : { version: String(version) }), exists })
  return value === undefined ? plain : `${plain.slice(0, -1)},"value":${value}}`
}

function renderOperation(operation: Operation): string {
  const { kind, key } = operation
  const head = `{"op":"${kind}","key":${JSON.stringify(key)}`
  switch (operation.kind) {
    case 'get':
    case 'delete':
      return `${head}}`
    case 'set':
      return `${head},"value":${operation.value}${renderTtl(operation.ttl)}}`
    case 'increment':
      return `${head},"delta":"${String(operation.delta)}"${renderTtl(operation.ttl)}}`
  }
}

function renderTtl(ttl: Ttl): string {
  return ttl === null ? '' : `,"ttl":${JSON.stringify(ttl)}`
}

function renderAppend({ request: { events }, idempotencyKey }: TxnRequest['append'][number]): string {
  const list = events.map(({ tags, payload, streamNumber }) => {
    const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString()
    return `{"tags":${JSON.stringify(tags)},"streamNumber":${String(streamNumber)},"payload":${text}}`
  })
  const key = idempotencyKey === undefined ? '' : `,"idempotencyKey":${JSON.stringify(idempotencyKey)}`
  return `{"events":[${list.join(',')}]${key}}`
}
