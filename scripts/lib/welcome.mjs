// What a newcomer sees when the node is ready: where everything is, and commands that work as they stand.

/**
 * @param ready the node's log line `ready`: `api` (URLs), `socket`, `data`, `nodeId`
 * @param program how to call the command from here
 * @param seconds since the start
 */
export function welcome(ready, program, seconds) {
  const url = ready.api?.[0] ?? 'http://127.0.0.1:4454'
  const manifest = `'{"appId":"com.example.hello","displayName":"Hello","version":"1.0.0"}'`
  const socket = ready.socket === undefined ? '' : `--socket ${quote(ready.socket)} `
  return `
  millrace runs (ready after ${seconds.toFixed(1)} s; stop it with Ctrl-C)

    page      ${url}/ui
    app API   ${(ready.api ?? []).join(', ') || 'none'}
    socket    ${ready.socket ?? 'none'}
    data      ${ready.data ?? 'unknown'}
    node id   ${ready.nodeId ?? 'unknown'}

  Try in another terminal, with curl:

    JSON='content-type: application/json'
    TOKEN=$(curl -s ${url}/api/v2/auth -H "$JSON" -d ${manifest} | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')
    curl -s ${url}/api/v2/events/publish -H "$JSON" -H "Authorization: Bearer $TOKEN" -d '{"data":[{"tags":["greeting"],"payload":{"hello":"world"}}]}'
    curl -s ${url}/api/v2/events/query -H "$JSON" -H "Authorization: Bearer $TOKEN" -d '{"query":"FROM '"'greeting'"'","order":"asc"}'
    curl -sN ${url}/api/v2/events/subscribe -H "$JSON" -H "Authorization: Bearer $TOKEN" -d '{"query":"FROM allEvents"}'

  or with the command of the project:

    ${program} publish ${socket}-t greeting '{"hello":"again"}'
    ${program} query ${socket}"FROM 'greeting'"
    ${program} streams ${socket.trim()}
`
}

function quote(text) {
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
