import type { Socket } from 'node:net'
import type { CodeSpec } from '../../core/codes.ts'
import { explain, timedOut, type Explained } from '../../core/errors.ts'
import type { Endpoint } from '../../core/fields.ts'
import { ProbeFailure, type ProbeContext } from '../../core/probe.ts'
import { LAYERS, type Layer } from '../../core/result.ts'
import { orAbort } from '../../core/run.ts'
import { dial } from './dial.ts'
import type { RedisClient } from './redis-client.ts'
import { logIn, openClient, type RedisLogin } from './redis-server.ts'
import type { IpProtocol } from './resolve.ts'
import { tlsGauges, type TlsOptions } from './tls.ts'

/** Visits give up so long before the run ends, to say which server did what. */
const VERDICT_MS = 20
/** How many servers are visited at a time. */
export const AT_ONCE = 16
/** How many servers a sentence names. */
const NAMED = 5

/** What went wrong at one server of several. Its layer is where that visit was, whatever phase the run is in. */
export interface FailedVisit {
  readonly endpoint: Endpoint
  readonly explained: Explained
  readonly error: unknown
}

export type Visitor = ReturnType<typeof visitor>
export type Visit<T> = { readonly endpoint: Endpoint, readonly value: T } | FailedVisit

export interface VisitHow extends RedisLogin {
  readonly tls: boolean
  /** The `performance.now()` at which the visit is given up; a moment before the run's end unless given. */
  readonly until?: number
  /** Gives the visit up when it aborts. */
  readonly enough?: AbortSignal
  /** One visit after the other may be phases of the run: the usual ones, and this one for the work. */
  readonly phase?: 'discover' | 'request'
}

type Stage = 'resolve' | 'connect' | 'tls' | 'auth' | 'discover' | 'request'
type Context = ProbeContext<Stage, typeof EXPIRY, never>

const LAYER: Readonly<Record<Stage, Layer>> = { resolve: 'resolve', connect: 'connect', tls: 'tls', auth: 'auth', discover: 'request', request: 'request' }
const EXPIRY = 'probe_ssl_earliest_cert_expiry'

/** The gauge that visits make beside what they return: with several servers each other one of TLS would be ambiguous. */
export const visitGauges = { [EXPIRY]: tlsGauges[EXPIRY] } as const

/**
 * Connects to servers, one after the other or at the same time, logs in, works and hangs up. A visit returns what went
 * wrong; it rejects only when the run itself is over. `finish` exports the gauge.
 */
export function visitor(probe: Context, codes: Readonly<Record<string, CodeSpec>>, options: TlsOptions & { readonly ip_protocol: IpProtocol }) {
  let expiry = Infinity

  async function visit<T>(endpoint: Endpoint, work: (client: RedisClient) => Promise<T>, how: VisitHow): Promise<Visit<T>> {
    const began = performance.now()
    const until = Math.min(how.until ?? Infinity, probe.deadline - VERDICT_MS)
    const stop = new AbortController()
    const giveUp = () => stop.abort()
    const timer = setTimeout(giveUp, Math.max(0, until - began))
    how.enough?.addEventListener('abort', giveUp, { once: true })
    const signal = AbortSignal.any([probe.signal, stop.signal])

    let stage: Stage = 'resolve'
    const context: ProbeContext<Stage, string, never> = {
      ...probe,
      signal,
      deadline: until,
      phase(name, inner) {
        stage = name
        const bounded = () => orAbort(inner, signal)
        return how.phase === undefined ? bounded() : probe.phase(name, bounded)
      },
      gauge(name, value) {
        if (name === EXPIRY) expiry = Math.min(expiry, value)
      },
    }
    let socket: Socket | undefined
    let client: RedisClient | undefined
    try {
      socket = await dial(context, endpoint, { ip_protocol: options.ip_protocol, addresses: 'any' })
      const opened = client = await openClient(context, socket, endpoint.host, { ...options, tls: how.tls })
      await logIn(context, opened, how)
      return { endpoint, value: await context.phase(how.phase ?? 'request', () => work(opened)) }
    } catch (error) {
      if (probe.signal.aborted) throw error
      const layer = LAYER[stage]
      const explained = stop.signal.aborted ? timedOut(layer, Math.round(performance.now() - began), codes) : explain(error, layer, codes)
      return { endpoint, explained, error }
    } finally {
      clearTimeout(timer)
      how.enough?.removeEventListener('abort', giveUp)
      client?.close()
      socket?.destroy()
    }
  }

  return {
    visit,
    finish() {
      if (Number.isFinite(expiry)) probe.gauge(EXPIRY, expiry)
    },
  }
}

/** `work` for each item, 16 at a time; `waiting` counts the items that have not begun, this one included. */
export async function inParallel<T, R>(items: readonly T[], work: (item: T, waiting: number) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  const queue = items.entries()
  const lane = async () => {
    for (const [index, item] of queue) results[index] = await work(item, items.length - index)
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, lane))
  return results
}

/** Sorts the visits into what they returned and what failed. */
export function sorted<T>(visits: readonly Visit<T>[]): { readonly values: readonly T[], readonly failed: readonly FailedVisit[] } {
  return {
    values: visits.flatMap((one) => ('value' in one ? [one.value] : [])),
    failed: visits.flatMap((one) => ('value' in one ? [] : [one])),
  }
}

/** Ends the run with the failure of one visit: what was raised on our side stays ours. */
export function raise(failed: FailedVisit | undefined, message: string): never {
  if (failed?.explained.status === 'failed') throw new ProbeFailure(failed.explained.failure.code, message)
  const error: unknown = failed?.error
  throw error
}

/** What stands for the failures when one good visit would have been enough: while one failed on our side, nothing is proven. */
export function ofAny(failed: readonly FailedVisit[]): FailedVisit | undefined {
  return failed.find(({ explained }) => explained.status === 'unknown') ?? mostTelling(failed)
}

/** The failure of the server that was got furthest with; an error says more than silence. */
export function mostTelling<F extends FailedVisit>(failed: readonly F[]): F | undefined {
  const silent = ({ explained }: FailedVisit) => Number(explained.failure.reason === 'timeout')
  const depth = ({ explained }: FailedVisit) => LAYERS.indexOf(explained.failure.layer)
  return failed.toSorted((a, b) => depth(b) - depth(a) || silent(a) - silent(b))[0]
}

/** `a: what went wrong; b connect/refused, c connect/timeout`, the one that is told in full first. */
export function inWords<F extends FailedVisit>(failed: readonly F[], name: (one: F) => string = ({ endpoint }) => String(endpoint)): string {
  const first = mostTelling(failed)
  if (!first) return ''
  const others = failed.filter((one) => one !== first)
  const said = others.slice(0, NAMED).map((one) => `${name(one)} ${one.explained.failure.layer}/${one.explained.failure.reason}`)
  const more = others.length > NAMED ? [`and ${others.length - NAMED} more`] : []
  return [`${name(first)}: ${first.explained.failure.message}`, ...said.length > 0 ? [[...said, ...more].join(', ')] : []].join('; ')
}
