import { connect, isIP, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { z } from 'zod'
import type { Endpoint } from '../../core/fields.ts'
import { ProbeFailure, type GaugeSpec, type ProbeContext } from '../../core/probe.ts'
import { askedFor, isOwnGround } from './inner.ts'
import { resolveHost, type Address, type IpProtocol } from './resolve.ts'
import { metItself } from './stream.ts'

/** How long an address may stay silent before the next one is tried beside it (RFC 8305, 5). */
const STAGGER_MS = 250
/** How many addresses `all` connects to at a time. */
const AT_ONCE = 16
/** Several addresses give up so long before the run ends, to say which of them did what. */
const VERDICT_MS = 10
/** How many addresses a sentence names. */
const NAMED = 5

/** Options that every probe type over TCP spreads into its own. */
export const dialFields = {
  ip_protocol: z.enum(['any', 'ip4', 'ip6']).default('any').describe('which addresses of the name count: both families, or one'),
  addresses: z.enum(['first', 'any', 'all', 'each']).default('any')
    .describe('of several addresses: only the first, the first that connects (a new one every 250 ms), every one must connect, or each is a target of its own'),
}

/** Gauges that `dial` and `addressesOf` set; the last two carry blackbox_exporter's names. */
export const dialGauges = {
  probe_addresses: { help: 'Addresses of the name by what came of them, where it has more than one.', labels: ['state'], series: 3 },
  probe_ip_protocol: 'IP version of the address that was used: 4 or 6.',
  probe_dns_lookup_time_seconds: 'Time that the look-up of the name took.',
} as const satisfies Readonly<Record<string, string | GaugeSpec>>

export interface DialOptions {
  readonly ip_protocol: IpProtocol
  readonly addresses: 'first' | 'any' | 'all' | 'each'
}

/** How names become addresses: `resolveHost`, unless a test or a check on the addresses stands before it. */
export type Resolve = (host: string, options: { readonly ipProtocol: IpProtocol, readonly signal: AbortSignal, readonly deadline: number }) => Promise<readonly Address[]>
type DialContext = ProbeContext<'resolve' | 'connect', keyof typeof dialGauges, never>

/**
 * Errors of a connect that say something of the target, the most telling first. A refusal comes from the host itself and
 * is a fact about the service; a silent or unreachable address may merely be of a family or a route that is closed. What
 * is not listed was raised on our side.
 */
const TELLING: readonly string[] = [
  'ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EHOSTUNREACH', 'EHOSTDOWN', 'ETIMEDOUT', 'ENETUNREACH', 'ENETDOWN',
]

interface Attempt {
  readonly address: Address
  readonly socket: Socket
  state: 'pending' | 'ok' | 'failed'
  error?: Error
}

/**
 * The addresses of a host in the order in which they are tried, at least one; phase `resolve`. For types that connect by
 * themselves; with `addresses: first` there is one. Throws what `resolveHost` throws.
 */
export async function addressesOf(
  probe: ProbeContext<'resolve', 'probe_ip_protocol' | 'probe_dns_lookup_time_seconds', never>, host: string, options: DialOptions, resolve: Resolve = resolveHost,
): Promise<readonly [Address, ...Address[]]> {
  const [first, ...others] = await lookUp(probe, host, options, resolve)
  probe.gauge('probe_ip_protocol', first.family)
  return options.addresses === 'first' ? [first] : [first, ...others]
}

/**
 * Resolves the host and connects; phases `resolve` and `connect`. The socket has Nagle's algorithm off, never raises an
 * uncaught error, and is destroyed when the run ends if the caller has not done it. Errors of our own side (no file
 * descriptor left, say) are thrown as they are, even when other addresses failed: nothing is proven then.
 */
export async function dial(probe: DialContext, endpoint: Endpoint, options: DialOptions, resolve: Resolve = resolveHost): Promise<Socket> {
  const addresses = await lookUp(probe, endpoint.host, options, endpoint.ip === undefined ? resolve : () => Promise.resolve([addressOf(endpoint.ip ?? '')]))
  return probe.phase('connect', () => (addresses.length === 1 ? connectTo(probe, endpoint.port, addresses[0]) : connectToOne(probe, endpoint, addresses, options.addresses)))
}

async function lookUp(
  probe: ProbeContext<'resolve', 'probe_dns_lookup_time_seconds', never>, host: string, options: DialOptions, resolve: Resolve,
): Promise<readonly [Address, ...Address[]]> {
  const began = performance.now()
  const name = askedFor(host, probe.guard)
  const found = await probe.phase('resolve', () => resolve(name, { ipProtocol: options.ip_protocol, signal: probe.signal, deadline: probe.deadline }))
  probe.gauge('probe_dns_lookup_time_seconds', (performance.now() - began) / 1000)
  const foul = probe.guard && found.find(({ ip }) => isOwnGround(ip))
  if (foul) throw new ProbeFailure('prober_no_entry', `${host} leads to ${foul.ip}`)
  const [first, ...others] = interleaved(found)
  if (!first) throw new ProbeFailure('resolve_not_found', `${host} has no address`)
  return [first, ...others]
}

/** A literal address. */
export function addressOf(ip: string): Address {
  return { ip, family: isIP(ip) === 6 ? 6 : 4 }
}

/** Families take turns, so that one whose packets are dropped costs one step only (RFC 8305, 4). */
function interleaved(addresses: readonly Address[]): readonly Address[] {
  if (addresses.length < 2) return addresses
  const same = addresses.filter(({ family }) => family === addresses[0]?.family)
  const other = addresses.filter(({ family }) => family !== addresses[0]?.family)
  return same.flatMap((address, index) => [address, ...other.slice(index, index + 1)]).concat(other.slice(same.length))
}

function connectTo(probe: DialContext, port: number, address: Address): Promise<Socket> {
  probe.gauge('probe_ip_protocol', address.family)
  return new Promise((resolve, reject) => {
    const socket = open(probe.signal, address, port, (error) => {
      if (error) reject(error)
      else resolve(socket)
    })
  })
}

function connectToOne(probe: DialContext, endpoint: Endpoint, addresses: readonly [Address, ...Address[]], mode: DialOptions['addresses']): Promise<Socket> {
  const usable = mode === 'first' ? [addresses[0]] : addresses
  const attempts: Attempt[] = []
  const count = (state: Attempt['state']) => attempts.filter((attempt) => attempt.state === state).length

  return new Promise((resolve, reject) => {
    let settled = false
    let stagger: NodeJS.Timeout | undefined

    const settle = (keep: Attempt | undefined, error: unknown) => {
      if (settled) return
      settled = true
      clearTimeout(stagger)
      clearTimeout(verdict)
      probe.signal.removeEventListener('abort', onAbort)
      probe.gauge('probe_ip_protocol', (keep?.address ?? addresses[0]).family)
      if (!probe.signal.aborted) {
        probe.gauge('probe_addresses', count('ok'), { state: 'ok' })
        probe.gauge('probe_addresses', count('failed'), { state: 'failed' })
        probe.gauge('probe_addresses', addresses.length - count('ok') - count('failed'), { state: 'untried' })
      }
      for (const { socket } of attempts) if (socket !== keep?.socket) socket.destroy()
      if (!keep) reject(error)
      // While `all` waited for the others, the first one may have been reset.
      else if (keep.socket.errored) reject(keep.socket.errored)
      else resolve(keep.socket)
    }
    const onAbort = () => settle(undefined, probe.signal.reason)
    const fail = () => settle(undefined, verdictOf(attempts, endpoint, addresses.length, mode))

    const onResult = (attempt: Attempt) => {
      if (settled) return
      if (attempt.state === 'failed') {
        if (mode === 'all' || (attempts.length === usable.length && count('pending') === 0)) fail()
        else if (attempts.length < usable.length) next()
        return
      }
      const first = attempts[0]
      if (mode !== 'all') settle(attempt, undefined)
      else if (count('ok') === usable.length) settle(first, undefined)
      else {
        if (attempt !== first) attempt.socket.destroy()
        next()
      }
    }
    const next = () => {
      clearTimeout(stagger)
      const address = usable[attempts.length]
      if (!address || settled) return
      attempts.push(attemptOf(probe.signal, address, endpoint.port, onResult))
      if (mode === 'any' && attempts.length < usable.length) stagger = setTimeout(next, STAGGER_MS)
    }

    const verdict = usable.length > 1 ? setTimeout(() => {
      for (const attempt of attempts) if (attempt.state === 'pending') markFailed(attempt, Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' }))
      fail()
    }, Math.max(0, probe.deadline - performance.now() - VERDICT_MS)) : undefined
    probe.signal.addEventListener('abort', onAbort, { once: true })
    for (let started = 0; started < (mode === 'all' ? AT_ONCE : 1); started++) next()
  })
}

/** A connection that is under way, and destroyed when the signal aborts; `done` is told how it went, and of every error after that. */
function open(signal: AbortSignal, { ip }: Address, port: number, done: (error?: Error) => void): Socket {
  const socket = connect({ host: ip, port, noDelay: true, autoSelectFamily: false })
  signal.addEventListener('abort', () => { socket.destroy() }, { once: true })
  socket.on('error', done)
  socket.once('connect', () => {
    const refused = metItself(socket, port)
    if (refused) socket.destroy(refused)
    else done()
  })
  return socket
}

function attemptOf(signal: AbortSignal, address: Address, port: number, done: (attempt: Attempt) => void): Attempt {
  const attempt: Attempt = {
    address,
    state: 'pending',
    socket: open(signal, address, port, (error) => {
      if (attempt.state !== 'pending') return
      if (error) markFailed(attempt, error)
      else attempt.state = 'ok'
      done(attempt)
    }),
  }
  return attempt
}

function markFailed(attempt: Attempt, error: Error): void {
  attempt.state = 'failed'
  attempt.error = error
}

/** The one error that stands for all attempts, with a code that `explain` knows. */
function verdictOf(attempts: readonly Attempt[], endpoint: Endpoint, total: number, mode: DialOptions['addresses']): Error {
  const failed = attempts.filter((attempt) => attempt.state === 'failed')
  const theirs = failed.filter((attempt) => TELLING.includes(codeOf(attempt)))
  const ours = failed.find((attempt) => !theirs.includes(attempt) && !(theirs.length > 0 && isMissingFamily(attempt)))
  const worst = ours ?? theirs.toSorted((a, b) => TELLING.indexOf(codeOf(a)) - TELLING.indexOf(codeOf(b)))[0]
  const error = worst?.error ?? new Error('no address was tried')
  if (ours || !worst || total === 1) return error

  const said = failed.slice(0, NAMED).map((attempt) => `${attempt.address.ip} ${codeOf(attempt)}`).join(', ')
  const more = failed.length > NAMED ? ` and ${failed.length - NAMED} more` : ''
  const lead = mode === 'all' ? `not every one of the ${total} addresses of ${endpoint} connects`
    : mode === 'first' ? `the first of the ${total} addresses of ${endpoint} does not connect`
      : `none of the ${total} addresses of ${endpoint} connects`
  return Object.assign(new Error(`${lead}: ${said}${more}`, { cause: error }), { code: codeOf(worst) })
}

/** An IPv6 address on a machine without IPv6 (or the reverse) is no trouble while the other family can be judged. */
function isMissingFamily(attempt: Attempt): boolean {
  if (!['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(codeOf(attempt))) return false
  return !Object.values(networkInterfaces()).some((list) => list?.some(({ family }) => family === `IPv${attempt.address.family}`))
}

function codeOf(attempt: Attempt): string {
  const { error } = attempt
  return error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
