import { networkInterfaces } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { ProbeFailure } from '../../core/probe.ts'
import { decodeAddress, encodeAddress } from './libc-message.ts'
import type { Address } from './resolve.ts'
import { createBoard, LONGEST_TRACE, type Answer, type Plan, type Route } from './traceroute-route.ts'
import { openWire, type Wire } from './traceroute-wire.ts'
import { createTurns } from './turns.ts'

/** Traces at a time in this process: routers answer only a few packets a second. */
const MOST_TRACES = 2
/** Kept back from the run's time, to say how the route ends. */
const MARGIN_MS = 20
/** In less, silence proves nothing. */
const LEAST_MS = 30
/** How long to wait before looking again: doubled as long as nothing comes. */
const SHORTEST_LOOK_MS = 1
const LONGEST_LOOK_MS = 16

export interface TraceOptions extends Plan {
  readonly protocol: Route['protocol']
  readonly signal: AbortSignal
  /** `performance.now()` at which the caller's time is over. */
  readonly deadline: number
}

/** A trace whose turn has come, with its socket open. */
export interface Trace {
  /**
   * Rejects with an errno error when this machine cannot or may not send, EHOSTUNREACH when no neighbour of it answers. With
   * too little time left each hop has less than `hopTimeoutMs`.
   */
  run(): Promise<Route>
  /** Gives the turn back, as an abort does. */
  close(): void
}

const turns = createTurns(MOST_TRACES)

/**
 * Waits for a turn and opens the socket. Throws ProbeFailure('traceroute_no_time' | 'traceroute_denied' | 'traceroute_unsupported'),
 * all of our own side, and what the socket refuses as an errno error; rejects with signal.reason when aborted.
 */
export async function openTrace({ ip, family }: Address, options: TraceOptions): Promise<Trace> {
  const { protocol, signal, deadline, hopTimeoutMs } = options
  const left = deadline - performance.now()
  if (left < MARGIN_MS + LEAST_MS) throw new ProbeFailure('traceroute_no_time', 'no time is left for a trace')
  if (!await turns.take(deadline - Math.min(2 * hopTimeoutMs, left / 2), signal)) {
    throw new ProbeFailure('traceroute_no_time', `${MOST_TRACES} other traces ran all the time: no turn came`)
  }
  const destination = { ip: decodeAddress(encodeAddress(ip))?.ip ?? ip, family }
  let wire: Wire | undefined
  let open = true
  const close = () => {
    if (!open) return
    open = false
    signal.removeEventListener('abort', close)
    wire?.close()
    turns.end()
  }
  try {
    signal.throwIfAborted()
    const opened = wire = openWire(destination, protocol)
    // Nobody may be there any more to close it.
    signal.addEventListener('abort', close, { once: true })
    return { close, run: () => trace(destination, opened, options) }
  } catch (error) {
    close()
    throw error
  }
}

/** Traces the route to an address: `openTrace`, `run` and `close` in one. */
export async function traceRoute(destination: Address, options: TraceOptions): Promise<Route> {
  const opened = await openTrace(destination, options)
  try {
    return await opened.run()
  } finally {
    opened.close()
  }
}

async function trace(destination: Address, wire: Wire, { protocol, maxHops, queries, hopTimeoutMs, signal, deadline }: TraceOptions): Promise<Route> {
  const left = deadline - MARGIN_MS - performance.now()
  const board = createBoard(destination.ip, { maxHops, queries, hopTimeoutMs: Math.min(hopTimeoutMs, left / LONGEST_TRACE) })
  const own = new Set(Object.values(networkInterfaces()).flatMap((addresses) => addresses?.map(({ address }) => address) ?? []))
  let look = SHORTEST_LOOK_MS
  for (;;) {
    signal.throwIfAborted()
    for (let packet = board.next(performance.now()); packet; packet = board.next(performance.now())) wire.send(packet.number, packet.ttl)
    const heard = wire.receive()
    for (const { number, answer } of heard) {
      if (own.has(answer.from) && answer.from !== destination.ip) throw refusedHere(answer, destination)
      board.heard(number, answer)
    }
    if (board.isDone(performance.now())) return { destination: destination.ip, protocol, maxHops, ...board.result() }
    look = heard.length > 0 ? SHORTEST_LOOK_MS : Math.min(LONGEST_LOOK_MS, 2 * look)
    await sleep(look, undefined, { signal })
  }
}

/** What our own kernel says of a packet, as the error that a connection would have got. */
function refusedHere({ from, said, says }: Answer, { ip }: Address): Error {
  return said === 'unreachable'
    ? Object.assign(new Error(`this machine (${from}) finds no neighbour for ${ip}, neither the host nor a gateway to it: ${says}`), { code: 'EHOSTUNREACH' })
    : Object.assign(new Error(`this machine (${from}) refuses packets to ${ip}: ${says}`), { code: 'EPERM' })
}
