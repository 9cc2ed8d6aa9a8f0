import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { memcachedFailure } from './memcached-codes.ts'
import { askText } from './memcached-text.ts'
import { metItself } from './stream.ts'

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
      const refused = metItself(socket, port)
      if (refused) {
        socket.destroy(refused)
        return
      }
      clearTimeout(timer)
      resolve(socket)
    })
  })
}

/**
 * What `work` comes to. Should it take long, this finds out meanwhile why the connection, which was accepted, stays
 * silent, and throws what it finds: the server accepts no second connection (at its limit with no_maxconns_fast memcached
 * stops accepting: the kernel takes one connection into the queue, the next one hangs), it answers text but not the
 * binary protocol, or it sends an error line over text. A server that is merely slow, or silent for good, is left to
 * `work`, which must end when the run does.
 */
export async function orExplained<T>(work: Promise<T>, spoken: 'text' | 'binary', peer: Peer, deadline: number): Promise<T> {
  const found = Promise.withResolvers<never>()
  found.promise.catch(() => {})
  // Made only where it is needed: aborting a wait costs as much as a short answer.
  let stop: AbortController | undefined
  const timer = setTimeout(() => {
    stop = new AbortController()
    explainSilence(spoken, peer, { deadline, signal: stop.signal }).catch(found.reject)
  }, Math.max(0, after(0.5, deadline) - performance.now()))
  try {
    return await Promise.race([work, found.promise])
  } finally {
    clearTimeout(timer)
    stop?.abort()
  }
}

async function explainSilence(spoken: 'text' | 'binary', peer: Peer, { deadline, signal }: Waiting): Promise<never> {
  const socket = await connectAgain(peer, after(0.5, deadline), signal)
  if (!socket) throw memcachedFailure('memcached_too_many_connections', 'one connection is accepted and stays silent, the next one is not accepted')
  const answer = await askText(socket)
  if (spoken === 'binary' && typeof answer === 'object') {
    // As long as there is time, the binary answer may only be late.
    await sleep(Math.max(0, after(0.8, deadline) - performance.now()), undefined, { signal })
    throw memcachedFailure('memcached_no_binary', `version ${answer.version} answers text, but is silent on the binary protocol`)
  }
  return new Promise(() => {})
}

/** `performance.now()` when so much of the remaining time has passed. */
function after(share: number, deadline: number): number {
  const now = performance.now()
  return now + Math.max(0, deadline - now) * share
}
