import { connect, type Socket } from 'node:net'
import { memcachedFailure } from './memcached-codes.ts'
import { askText } from './memcached-text.ts'

/** The address that the first connection of a run went to. */
export interface Peer {
  readonly ip: string
  readonly port: number
}

interface Waiting {
  readonly signal: AbortSignal
  /** `performance.now()` at which the run must have ended. */
  readonly deadline: number
}

/** `performance.now()` when so much of the remaining time has passed. */
export function after(share: number, { deadline }: Pick<Waiting, 'deadline'>): number {
  const now = performance.now()
  return now + Math.max(0, deadline - now) * share
}

/**
 * Another connection to the server that the run has already reached. Undefined when it is not accepted until `giveUpAt`.
 * The socket never raises an uncaught error and is destroyed when the run ends.
 */
export function connectAgain({ ip, port }: Peer, giveUpAt: number, signal: AbortSignal): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const socket = connect({ host: ip, port, noDelay: true, autoSelectFamily: false })
    const onAbort = () => {
      clearTimeout(timer)
      socket.destroy()
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      socket.destroy()
      resolve(undefined)
    }, Math.max(0, giveUpAt - performance.now()))
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('close', () => signal.removeEventListener('abort', onAbort))
    socket.on('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    socket.once('connect', () => {
      clearTimeout(timer)
      resolve(socket)
    })
  })
}

/**
 * Finds out why a connection that was accepted stays silent. Throws what it finds: the server accepts no second
 * connection (at its limit with no_maxconns_fast, memcached stops accepting: the kernel takes one connection into the
 * queue, the next one hangs), it answers text but not the binary protocol, or it sends an error line over text. When it
 * is silent for good, this waits for the end of the run, which then is a timeout of the phase. Throws the signal's reason.
 */
export async function explainSilence(peer: Peer, spoken: 'text' | 'binary', run: Waiting): Promise<never> {
  const socket = await connectAgain(peer, after(0.5, run), run.signal)
  if (!socket) throw memcachedFailure('memcached_too_many_connections', 'one connection is accepted and stays silent, the next one is not accepted')
  const answer = await askText(socket, after(0.7, run))
  if (spoken === 'binary' && typeof answer === 'object') {
    throw memcachedFailure('memcached_no_binary', `version ${answer.version} answers text, but is silent on the binary protocol`)
  }
  return endOf(run.signal)
}

function endOf(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
