import { createSocket } from 'node:dgram'
import { answerTo, nonceOf, question } from './mesh-wire.ts'
import type { Address } from './resolve.ts'

/** How far apart two datagrams of a size are. */
const APART_MS = 20
/** After so long an answer does not count. */
const WAIT_MS = 1_000

/** Packets of one size. */
export interface Tally {
  readonly sent: number
  /** Round trips of those that were answered in time, ms, in the order of their sending. */
  readonly rtts: readonly number[]
}

export interface UdpOutcome {
  /** One for each size, in their order. */
  readonly tallies: readonly Tally[]
  /** Why a datagram was turned back, or did not leave this machine: the last error. */
  readonly error: Error | undefined
}

interface Sent {
  readonly answer: Buffer
  readonly at: number
  rtt: number | undefined
}

interface Asked {
  readonly to: Address
  readonly port: number
  /** Bytes of a datagram. */
  readonly sizes: readonly number[]
  /** Datagrams of each size. */
  readonly count: number
  /** `performance.now()` at which the outcome must be there. */
  readonly endAt: number
  readonly signal: AbortSignal
}

/** Sends datagrams of all sizes in turns and waits for their answers, at most a second after the last one. Never rejects. */
export function echoByUdp({ to: { ip, family }, port, sizes, count, endAt, signal }: Asked): Promise<UdpOutcome> {
  const sent = sizes.map((): Sent[] => [])
  const awaited = new Map<string, Sent>()
  const socket = createSocket(family === 6 ? 'udp6' : 'udp4')
  return new Promise((resolve) => {
    let error: Error | undefined
    let over = false
    let timer: NodeJS.Timeout | undefined
    const finish = () => {
      if (over) return
      over = true
      clearTimeout(timer)
      socket.close()
      resolve({ tallies: sent.map((packets) => ({ sent: packets.length, rtts: packets.flatMap(({ rtt }) => rtt ?? []) })), error })
    }
    const later = (action: () => void, at: number) => { timer = setTimeout(action, Math.max(0, at - performance.now())) }
    const step = (round: number) => {
      if (over) return
      if (round === count || performance.now() >= endAt) {
        // What lies there unread has come in time.
        later(() => setImmediate(() => setImmediate(finish)), Math.min(endAt, performance.now() + WAIT_MS))
        return
      }
      for (const [index, size] of sizes.entries()) sendOne(index, size)
      later(() => step(round + 1), performance.now() + APART_MS)
    }

    const sendOne = (index: number, size: number) => {
      const asked = question(size)
      const one: Sent = { answer: answerTo(asked), at: performance.now(), rtt: undefined }
      sent[index]?.push(one)
      awaited.set(nonceOf(asked), one)
      socket.send(asked, (cause) => {
        if (!cause || over) return
        error = cause
        // It may have been the error of an earlier one, which the kernel tells at the next occasion: then this one has not been sent.
        socket.send(asked, (again) => { error = again ?? error })
      })
    }

    signal.addEventListener('abort', finish, { once: true })
    socket.on('message', (bytes: Buffer) => {
      const one = awaited.get(nonceOf(bytes))
      if (!one || !bytes.equals(one.answer)) return
      awaited.delete(nonceOf(bytes))
      one.rtt = performance.now() - one.at
      if (awaited.size === 0 && sent.every(({ length }) => length === count)) finish()
    })
    // An ICMP error that came back; the socket stays open.
    socket.on('error', (cause) => { error = cause })
    // Connected, so that the kernel tells of such errors and of nobody else's packets.
    socket.connect(port, ip, (cause?: Error) => {
      error = cause
      if (cause) finish()
      else step(0)
    })
  })
}
