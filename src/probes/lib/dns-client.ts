import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect, isIPv6, type Socket } from 'node:net'
import { encode, RECURSION_DESIRED, type RecordType as PacketType } from 'dns-packet'
import { ProbeFailure } from '../../core/probe.ts'
import { readAnswer, type Message, type RecordType } from './dns-message.ts'
import type { Server } from './resolv-conf.ts'
import { metItself } from './stream.ts'

export interface Waiting {
  /** Rejects with its reason as soon as it aborts. */
  readonly signal: AbortSignal
  /** `performance.now()` at which to stop waiting by ourselves, while there is still time to say what came instead. */
  readonly giveUpAt: number
}

/**
 * A packet with one question of class IN, under a random id. No EDNS: what answers a plain question is what most
 * stub resolvers see. The name must satisfy `isQueryName`.
 */
export function encodeQuery(name: string, record: RecordType, recursionDesired = true): Buffer {
  return encode({
    type: 'query',
    id: randomInt(0x1_0000),
    flags: recursionDesired ? RECURSION_DESIRED : 0,
    questions: [{ name, type: record as PacketType, class: 'IN' }], // safe: the library's table has SPF and ANY too; its types left them out
  })
}

/**
 * Asks over UDP, from a fresh connected socket, so that the kernel drops what others send and reports a closed port
 * (ECONNREFUSED). Packets that do not answer this very question are skipped, since anybody may forge them; when nothing
 * better came by `giveUpAt`, they decide the code: `dns_wrong_id`, `dns_wrong_question`, `dns_garbage`, else `request_timeout`.
 */
export function askUdp(server: Server, query: Buffer, { signal, giveUpAt }: Waiting): Promise<Message> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const family = isIPv6(server.ip) ? 6 : 4
    // The address is known: without a lookup of our own, dgram would call dns.lookup.
    const socket = createSocket({ type: `udp${family}`, lookup: (address, _options, callback) => callback(null, address, family) })
    let skipped: ProbeFailure | undefined

    const end = (settle: () => void) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      socket.removeAllListeners()
      // An error that was on its way when the socket closed is nobody's business any more.
      socket.on('error', () => {})
      socket.close()
      settle()
    }
    const onAbort = () => end(() => reject(signal.reason))
    const timer = setTimeout(() => end(() => reject(skipped ?? silence())), Math.max(0, giveUpAt - performance.now()))
    signal.addEventListener('abort', onAbort, { once: true })

    socket.on('error', (error) => end(() => reject(error)))
    socket.on('message', (packet) => {
      const reading = readAnswer(query, packet, 'datagram')
      if ('message' in reading) return end(() => resolve(reading.message))
      skipped = new ProbeFailure(reading.wrong, reading.detail)
      if (reading.conclusive) end(() => reject(skipped))
    })
    // Without a callback Node keeps what the kernel refuses to send to itself (EPERM of our own packet filter), and the
    // server would be blamed for its silence.
    socket.on('connect', () => socket.send(query, (error) => { if (error) socket.emit('error', error) }))
    socket.connect(server.port, server.ip)
  })
}

/** Asks over UDP, and where the answer does not fit, once more over TCP. */
export async function ask(server: Server, query: Buffer, waiting: Waiting): Promise<Message> {
  const message = await askUdp(server, query, waiting)
  if (!message.truncated) return message
  const socket = await connectTcp(server, waiting)
  try {
    return await askStream(socket, query, waiting)
  } finally {
    socket.destroy()
  }
}

/** A TCP connection to a name server. The caller destroys it. */
export function connectTcp(server: Server, { signal, giveUpAt }: Waiting): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const socket = connect({ host: server.ip, port: server.port, noDelay: true, autoSelectFamily: false })
    const end = (settle: () => void) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      socket.removeListener('connect', onConnect)
      settle()
    }
    const drop = (error: unknown) => end(() => { socket.destroy(); reject(error) })
    const onAbort = () => drop(signal.reason)
    const onConnect = () => {
      const refused = metItself(socket, server.port)
      if (refused) drop(refused)
      else end(() => resolve(socket))
    }
    const timer = setTimeout(() => drop(new ProbeFailure('connect_timeout', `no TCP connection to ${server.ip} port ${server.port}`)), Math.max(0, giveUpAt - performance.now()))
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('connect', onConnect)
    // Stays for the socket's life: an error between two steps must not be uncaught.
    socket.on('error', drop)
  })
}

/**
 * Asks over a connected TCP or TLS socket (RFC 1035, section 4.2.2: two bytes of length before each message). Nobody
 * else can write here, so a packet that does not answer the question ends it at once. The caller destroys the socket.
 */
export function askStream(socket: Socket, query: Buffer, { signal, giveUpAt }: Waiting): Promise<Message> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const chunks: Buffer[] = []
    let received = 0
    /** Bytes that length and message take together, once the length is known. */
    let wanted: number | undefined

    const end = (settle: () => void) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      socket.removeListener('data', onData)
      socket.removeListener('end', onEnd)
      socket.removeListener('close', onEnd)
      settle()
    }
    const onAbort = () => end(() => reject(signal.reason))
    const onError = (error: Error) => end(() => reject(error))
    const onEnd = () => end(() => reject(new ProbeFailure('request_reset', received === 0
      ? 'the server closed the connection without an answer' : `the server closed the connection in the middle of an answer, after ${received} bytes`)))
    const onData = (chunk: Buffer) => {
      chunks.push(chunk)
      received += chunk.length
      if (received >= 2) wanted ??= 2 + Buffer.concat(chunks).readUInt16BE(0)
      if (wanted === undefined || received < wanted) return
      const reading = readAnswer(query, Buffer.concat(chunks).subarray(2, wanted), 'stream')
      end(() => 'message' in reading ? resolve(reading.message) : reject(new ProbeFailure(reading.wrong, reading.detail)))
    }
    const timer = setTimeout(() => end(() => reject(silence(received))), Math.max(0, giveUpAt - performance.now()))
    signal.addEventListener('abort', onAbort, { once: true })
    socket.on('error', onError)
    socket.on('end', onEnd)
    socket.on('close', onEnd)
    socket.on('data', onData)
    // A socket that is gone already has said so before anybody listened here.
    if (socket.destroyed || socket.readableEnded) return onEnd()
    const framed = Buffer.allocUnsafe(2 + query.length)
    framed.writeUInt16BE(query.length, 0)
    query.copy(framed, 2)
    socket.write(framed)
  })
}

function silence(received = 0): ProbeFailure {
  return new ProbeFailure('request_timeout', received === 0 ? 'the server does not answer' : `the answer was not complete in time, only ${received} bytes of it came`)
}
