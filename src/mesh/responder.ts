import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, isIP, type Server, type Socket } from 'node:net'
import type { MeshProtocol, MeshResult } from '../core/mesh.ts'
import { LONGEST, questionLength, SHORTEST, turnIntoAnswer } from '../probes/lib/mesh-wire.ts'
import { createRateLimit } from './limits.ts'
import type { Listen } from './options.ts'

export type MeshCount = (protocol: MeshProtocol, result: MeshResult) => void

/** A run asks with a few dozen questions, and a node has a handful of neighbours: this is for whoever is none. */
const EACH = { perSecond: 200, burst: 400 }
const TOTAL = { perSecond: 5_000, burst: 5_000 }
const MOST_ADDRESSES = 1_024

const MOST_CONNECTIONS = 256
const MOST_OF_ONE_ADDRESS = 16
/** Longer than any run keeps its connection idle. */
const IDLE_MS = 15_000
const LONGEST_CONNECTION_MS = 60_000
/** What a connection may say in all, and what may wait to be read by the other side. */
const MOST_BYTES = 256 * 1_024
const MOST_UNREAD = 64 * 1_024
const MOST_UDP_QUEUED = 1_024 * 1_024

export interface Responder {
  /** Ends what is open, too. */
  close(): Promise<void>
}

/** Answers questions over TCP and UDP. Rejects with the error of the port that cannot be had; neither is open then. */
export async function startResponder(listen: Listen, count: MeshCount, total = TOTAL): Promise<Responder> {
  // Nobody has a connection from an address that is forged, and an agent has one while it asks over UDP.
  const connected = new Map<Socket, string>()
  const allows = createRateLimit(EACH, total, MOST_ADDRESSES, (address) => connected.values().some((one) => one === address))
  const tcp = await openTcp(listen, connected, allows, count)
  try {
    const udp = await openUdp(listen, allows, count)
    return {
      async close() {
        await Promise.all([tcp.close(), new Promise<void>((resolve) => { udp.close(resolve) })])
      },
    }
  } catch (error) {
    await tcp.close()
    throw error
  }
}

type Allows = (address: string) => boolean

async function openTcp({ host, port }: Listen, open: Map<Socket, string>, allows: Allows, count: MeshCount): Promise<Responder> {
  const server: Server = createServer({ noDelay: true }, (socket) => {
    const from = plain(socket.remoteAddress ?? '')
    socket.on('error', () => socket.destroy())
    if (open.values().filter((address) => address === from).toArray().length >= MOST_OF_ONE_ADDRESS) {
      count('tcp', 'limited')
      socket.destroy()
      return
    }
    open.set(socket, from)
    const end = setTimeout(() => socket.destroy(), LONGEST_CONNECTION_MS).unref()
    socket.setTimeout(IDLE_MS, () => socket.destroy())
    socket.on('close', () => {
      clearTimeout(end)
      open.delete(socket)
    })
    converse(socket, () => allows(from), count)
  })
  server.maxConnections = MOST_CONNECTIONS
  server.on('drop', () => count('tcp', 'limited'))
  server.listen({ port, host })
  await once(server, 'listening')
  // An accept that fails, for want of file descriptors say: the next one may do.
  server.on('error', () => count('tcp', 'failed'))
  return {
    close: () => new Promise((resolve) => {
      server.close(() => resolve())
      for (const socket of open.keys()) socket.destroy()
    }),
  }
}

/** Answers one question after another; whoever says anything else is not listened to any further. */
function converse(socket: Socket, allows: () => boolean, count: MeshCount): void {
  let held = Buffer.alloc(0)
  let heard = 0
  const leave = (result: MeshResult) => {
    count('tcp', result)
    socket.destroy()
  }
  socket.on('data', (chunk: Buffer) => {
    heard += chunk.length
    if (heard > MOST_BYTES) return leave('limited')
    held = Buffer.concat([held, chunk])
    while (held.length > 0 && !socket.destroyed) {
      const length = questionLength(held)
      if (length === 0) return leave('refused')
      if (length === undefined || held.length < length) return
      if (!allows() || socket.writableLength > MOST_UNREAD) return leave('limited')
      const answer = turnIntoAnswer(held.subarray(0, length))
      held = held.subarray(length)
      socket.write(answer, (error) => count('tcp', error ? 'failed' : 'answered'))
    }
  })
}

async function openUdp(listen: Listen, allows: Allows, count: MeshCount): Promise<UdpSocket> {
  const family = listen.host === undefined ? undefined : isIP(listen.host)
  try {
    return await bind(family === 4 ? 'udp4' : 'udp6', listen, allows, count)
  } catch (error) {
    // A machine without IPv6 has IPv4 alone, as TCP does by itself.
    const missing = error instanceof Error && 'code' in error && (error.code === 'EAFNOSUPPORT' || error.code === 'EADDRNOTAVAIL')
    if (family !== undefined || !missing) throw error
    return bind('udp4', listen, allows, count)
  }
}

async function bind(type: 'udp4' | 'udp6', { host, port }: Listen, allows: Allows, count: MeshCount): Promise<UdpSocket> {
  const socket = createSocket({ type, ipv6Only: false })
  socket.on('message', (bytes: Buffer, from: RemoteInfo) => {
    if (bytes.length < SHORTEST || bytes.length > LONGEST || questionLength(bytes) !== bytes.length) return count('udp', 'refused')
    if (!allows(plain(from.address)) || socket.getSendQueueSize() > MOST_UDP_QUEUED) return count('udp', 'limited')
    try {
      socket.send(turnIntoAnswer(bytes), from.port, from.address, (error) => count('udp', error ? 'failed' : 'answered'))
    } catch {
      // Port 0, which a forged packet may have.
      count('udp', 'failed')
    }
  })
  try {
    socket.bind({ port, address: host, exclusive: true })
    await once(socket, 'listening')
  } catch (error) {
    socket.close()
    throw error
  }
  socket.on('error', () => count('udp', 'failed'))
  return socket
}

/** An IPv4 address is the same one however it came in. */
function plain(address: string): string {
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address
}
