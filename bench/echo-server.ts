// Child program of raw.bench.ts: answers an HTTP request with a body of the size of a publish receipt, and a WebSocket
// message with itself. Nothing else: what is left is the price of the transport.
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

const RECEIPT = Buffer.alloc(150, 'x')

const server = createServer((request, response) => {
  request.on('data', () => undefined)
  request.on('end', () => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': RECEIPT.length })
    response.end(RECEIPT)
  })
})
new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (socket) => {
  socket.on('message', (data, isBinary) => {
    socket.send(data as Buffer, { binary: isBinary })
  })
})
server.listen(Number(process.argv[2]), '127.0.0.1')
