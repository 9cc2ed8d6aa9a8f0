import { connect, type Socket } from 'node:net'
import type { Address } from './resolve.ts'
import { answerTo, question } from './mesh-wire.ts'
import { metItself } from './stream.ts'

/** What came of a question over a connection. */
export type Echo =
  | { readonly kind: 'echoed', readonly ms: number }
  | { readonly kind: 'silent' }
  | { readonly kind: 'closed' }
  /** What came is not what an agent answers. */
  | { readonly kind: 'stranger' }

/** A connection, or why there is none: ETIMEDOUT at `endAt` (`performance.now()`). Destroyed when the signal aborts. */
export function connectPeer({ ip }: Address, port: number, endAt: number, signal: AbortSignal): Promise<Socket | Error> {
  return new Promise((resolve) => {
    const socket = connect({ host: ip, port, noDelay: true, autoSelectFamily: false })
    const settle = (outcome: Socket | Error) => {
      clearTimeout(timer)
      if (outcome instanceof Error) socket.destroy()
      resolve(outcome)
    }
    const timer = setTimeout(() => settle(Object.assign(new Error(`no answer from ${ip}:${port}`), { code: 'ETIMEDOUT' })), endAt - performance.now())
    signal.addEventListener('abort', () => settle(new Error('the run was stopped')), { once: true })
    // Later errors too: what they are is told by the socket being closed.
    socket.on('error', settle)
    socket.once('connect', () => settle(metItself(socket, port) ?? socket))
  })
}

/** Asks with so many bytes and compares what comes until `endAt`. Never rejects. */
export function echoOver(socket: Socket, size: number, endAt: number): Promise<Echo> {
  const asked = question(size)
  const wanted = answerTo(asked)
  const began = performance.now()
  return new Promise((resolve) => {
    let heard = 0
    const settle = (echo: Echo) => {
      clearTimeout(timer)
      socket.off('data', onData)
      socket.off('end', onClose)
      socket.off('close', onClose)
      resolve(echo)
    }
    const onData = (chunk: Buffer) => {
      const rest = wanted.subarray(heard)
      if (chunk.length > rest.length || !chunk.equals(rest.subarray(0, chunk.length))) return settle({ kind: 'stranger' })
      heard += chunk.length
      if (heard === wanted.length) settle({ kind: 'echoed', ms: performance.now() - began })
    }
    const onClose = () => settle({ kind: 'closed' })
    // What lies there unread has come in time.
    const timer = setTimeout(() => setImmediate(() => setImmediate(() => settle({ kind: 'silent' }))), endAt - performance.now())
    if (socket.destroyed || socket.readableEnded) return onClose()
    socket.on('data', onData)
    socket.on('end', onClose)
    socket.on('close', onClose)
    socket.write(asked)
  })
}
