// A process of its own: what the servers that are probed cost must not count. `node target-server.ts KIND`, then CERT KEY for tls, a number of addresses for dns.
import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { addresses, type Delay } from './targets.ts'

/** How long the delaying server waits before it answers; Node's timers add up to 1 ms, and what it came to is reported. */
const DELAY_MS = 5
const PAGE = `<!doctype html><title>bench</title><p>${'well '.repeat(100)}</p>\n`

const [kind = '', first = '', second = ''] = process.argv.slice(2)

process.on('disconnect', () => process.exit())

const SERVERS: Readonly<Record<string, () => void>> = {
  tcp: () => listen(createServer(leave)),
  http: () => listen(createHttpServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', 'Content-Length': PAGE.length, 'Connection': 'close' })
    response.end(PAGE)
  })),
  tls: () => listen(createTlsServer({ cert: readFileSync(first), key: readFileSync(second) }, leave).on('tlsClientError', () => {})),
  dns: answerNames,
  delay: delayAnswers,
  chat: () => listen(createHttpServer((request, response) => request.resume().on('end', () => response.end('ok')))),
}
SERVERS[kind]?.()

function listen(server: Server): void {
  server.listen({ host: '0.0.0.0', port: 0, backlog: 4_096 }, () => {
    const address = server.address() as AddressInfo // safe: it listens on TCP
    process.send?.({ port: address.port })
  })
}

/** Reads until the client leaves, which is then what it does too. */
function leave(socket: Socket): void {
  socket.on('error', () => {})
  socket.resume()
}

/**
 * Every name is 192.0.2.1. A socket for each address: what one on all of them sends would come from another address than
 * the one that was asked.
 */
function answerNames(): void {
  const [lead = '', ...others] = addresses(Number(first))
  const open = (address: string, port: number, ready: (port: number) => void) => {
    const socket = createSocket('udp4')
    socket.on('message', (query, peer) => {
      const answer = Buffer.concat([query, Buffer.from('c00c000100010000012c0004c0000201', 'hex')])
      answer.writeUInt16BE(0x8580, 2) // an authoritative answer, recursion available
      answer.writeUInt16BE(1, 6)
      socket.send(answer, peer.port, peer.address)
    })
    socket.bind(port, address, () => ready(socket.address().port))
  }
  open(lead, 0, (port) => {
    let missing = others.length
    for (const address of others) open(address, port, () => { if (--missing === 0) process.send?.({ port }) })
  })
}

/** Answers what it is sent after a while, and knows for each time how long the client really had to wait for it. */
function delayAnswers(): void {
  let log: Delay[] = []
  listen(createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      const asked = performance.now()
      setTimeout(() => {
        log.push({ address: socket.localAddress ?? '', at: performance.timeOrigin + asked, ms: performance.now() - asked })
        socket.write('ok\n')
      }, DELAY_MS)
    })
  }))
  process.on('message', () => {
    process.send?.({ delays: log })
    log = []
  })
}
