import { isIP } from 'node:net'
import { z } from 'zod'
import type { SharedCode } from '../core/codes.ts'
import { explain } from '../core/errors.ts'
import { duration, hostOnly } from '../core/fields.ts'
import { defineProbe, ProbeFailure, type ProbeContext } from '../core/probe.ts'
import { addressesOf, addressOf, dialFields, dialGauges } from './lib/dial.ts'
import { PING_CODES, type PingCode } from './lib/icmp-codes.ts'
import { figuresOf, type EchoOutcome } from './lib/icmp-echo.ts'
import { silenceOf } from './lib/icmp-verdict.ts'
import { loader } from './lib/loader.ts'
import { resolveHost, type Address } from './lib/resolve.ts'

/** Kept back from the run's time, to say what came of it; at most a twentieth of what is left. */
const MARGIN_MS = 30
/** A shorter distance between packets is a flood. */
const LEAST_INTERVAL_MS = 10
const LONGEST_SENDING_MS = 600_000

const options = z.strictObject({
  target: hostOnly(),
  count: z.int().min(1).max(100).default(5).describe('packets of a run; fewer are sent when timeout leaves no time for more and their replies'),
  packet_interval: duration().refine((ms) => ms >= LEAST_INTERVAL_MS, `expected at least ${LEAST_INTERVAL_MS}ms`).prefault('100ms').describe('time between two packets; fping, where it has to be used, sends one every 500ms'),
  packet_timeout: duration().prefault('1s').describe('how long after its sending a reply counts'),
  payload_size: z.int().min(0).max(65_507).default(56).describe('bytes of data in a packet; IPv4 adds 28 bytes of headers, IPv6 48'),
  dont_fragment: z.boolean().default(false).describe('packets that are too big for a link on the way are an error: finds wrong MTUs'),
  ttl: z.int().min(1).max(255).default(64).describe('how many hops a packet may take'),
  ip_protocol: dialFields.ip_protocol,
  addresses: z.enum(['first', 'any', 'all', 'each']).default('any')
    .describe('of several addresses: only the first, any that answers (the others once the first is silent), every one must answer, or each is a target of its own'),
}).superRefine(({ count, packet_interval }, context) => {
  if ((count - 1) * packet_interval <= LONGEST_SENDING_MS) return
  context.addIssue({ code: 'custom', path: ['packet_interval'], message: 'expected all packets to be sent within 10m: lower count or packet_interval', input: packet_interval })
})

type Options = z.output<typeof options>

const gauges = {
  ...dialGauges,
  probe_icmp_reply_hop_limit: 'TTL (hop limit for IPv6) of the last reply; absent through fping, which does not tell.',
  probe_icmp_packets_sent: 'Echo requests sent in the last run.',
  probe_icmp_packets_received: 'Of them, those that were answered in time.',
  probe_icmp_packet_loss_ratio: 'Share of the packets sent that were not answered in time.',
  probe_icmp_duplicates: 'Replies beyond the first one to a packet.',
  probe_icmp_rtt_min_seconds: 'Shortest round-trip time; the mean is the phase rtt.',
  probe_icmp_rtt_max_seconds: 'Longest round-trip time.',
  probe_icmp_jitter_seconds: 'Mean difference between the round-trip times of one reply and the next; absent with a single reply.',
} as const

type Context = ProbeContext<'resolve' | 'setup' | 'rtt', keyof typeof gauges, PingCode | SharedCode>

interface Tried {
  readonly address: Address
  readonly outcome: EchoOutcome | undefined
  /** Why it counts as not answering. */
  readonly error: Error | undefined
}

const loadEngine = loader(() => import('./lib/icmp-backend.ts'))

export const ping = defineProbe({
  type: 'ping',
  prefix: 'icmp',
  summary: 'A host answers ICMP echo requests: loss, round-trip times, jitter, duplicates, and with dont_fragment the MTU of the path',
  options,
  phases: { resolve: 'resolve', setup: 'prober', rtt: 'network' },
  gauges,
  codes: PING_CODES,
  levels: {
    loss_ratio: { gauge: 'probe_icmp_packet_loss_ratio', worse: 'above' },
    rtt: { gauge: 'probe_icmp_rtt_max_seconds', worse: 'above' },
    jitter: { gauge: 'probe_icmp_jitter_seconds', worse: 'above' },
  },
  schemes: ['icmp', 'ping'],
  fromUrl(url) {
    if (url.username !== '' || url.password !== '' || url.port !== '' || !['', '/'].includes(url.pathname)) throw new Error('expected a host alone, as in icmp://host?count=3')
    return { ...fromQuery(url.searchParams), target: url.hostname }
  },
  example: { target: 'gateway.example.org', count: 5, packet_interval: '200ms' },

  load: loadEngine,

  async run(options, probe) {
    probe.zeroPhases()
    const { host, ip } = options.target
    const literal = ip ?? (isIP(host) === 0 ? undefined : host)
    const [first, ...others] = await addressesOf(probe, host, options, literal === undefined ? resolveHost : () => Promise.resolve([addressOf(literal)]))
    const tried = options.addresses === 'all'
      ? await pingAll(options, probe, [first, ...others])
      : await untilOneAnswers(options, probe, [first, ...others])

    const well = tried.filter(({ error }) => error === undefined)
    const answered = options.addresses === 'all' ? well.length === tried.length : well.length > 0
    const verdict = answered ? undefined : verdictOf(tried)
    if (others.length > 0) {
      probe.gauge('probe_addresses', well.length, { state: 'ok' })
      probe.gauge('probe_addresses', tried.length - well.length, { state: 'failed' })
      probe.gauge('probe_addresses', 1 + others.length - tried.length, { state: 'untried' })
    }
    const [answering] = well
    if (answering && answering.address.family !== first.family) probe.gauge('probe_ip_protocol', answering.address.family)
    if (!verdict) report(probe, options.addresses === 'all' ? tried : well)
    else {
      // What is not known to be their loss is told to nobody.
      if (explain(verdict, 'network', PING_CODES).status === 'failed') report(probe, tried)
      throw others.length > 0 ? inOthersName(verdict, `${well.length} of the ${1 + others.length} addresses of ${host} answer; `) : verdict
    }
  },
})

/** Options from a URL's query, as the schema wants them. */
function fromQuery(query: URLSearchParams): Record<string, unknown> {
  const numbers = ['count', 'payload_size', 'ttl']
  const read: Record<string, unknown> = {}
  for (const [key, value] of query) {
    if (numbers.includes(key) && /^\d+$/.test(value)) read[key] = Number(value)
    else read[key] = value === 'true' || value === 'false' ? value === 'true' : value
  }
  return read
}

/** The first alone; when it is silent, all others at the same time, for which half of the time is kept: a live one must not be left out. */
async function untilOneAnswers(options: Options, probe: Context, [first, ...others]: readonly [Address, ...Address[]]): Promise<Tried[]> {
  const left = probe.deadline - performance.now()
  const tried = await pingAll(options, probe, [first], others.length > 0 ? probe.deadline - left / 2 : probe.deadline)
  if (others.length === 0 || tried.some(({ error }) => error === undefined)) return tried
  return [...tried, ...await pingAll(options, probe, others)]
}

/** All of them at the same time. */
async function pingAll(options: Options, probe: Context, addresses: readonly Address[], deadline = probe.deadline): Promise<Tried[]> {
  const { echoerFor } = await loadEngine()
  const endAt = deadline - Math.min(MARGIN_MS, (deadline - performance.now()) / 20)
  const { count, packet_interval: intervalMs, packet_timeout: timeoutMs, payload_size: payloadSize, dont_fragment: dontFragment, ttl } = options
  const echoers = await probe.phase('setup', () => Promise.all(addresses.map(({ family }) => echoerFor(family, dontFragment, endAt).catch(asError))))
  let over = false
  try {
    return await probe.phase('rtt', () => Promise.all(addresses.map(async (address, index) => {
      const echoer = echoers[index]
      if (!echoer || echoer instanceof Error) return { address, outcome: undefined, error: echoer }
      const request = { address, count, intervalMs, timeoutMs, payloadSize, dontFragment, ttl, endAt, stopped: () => over }
      const outcome = await echoer.ping(request)
      return { address, outcome, error: outcome.rtts.length > 0 ? undefined : silenceOf(outcome, request) }
    })))
  } finally {
    // Also when the phase was aborted: then no more packets.
    over = true
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}

/** What stands for all addresses that did not answer: trouble of our own first, unless it is only that a family is missing here. */
function verdictOf(tried: readonly Tried[]): Error {
  const errors = tried.flatMap(({ error }) => error ?? [])
  const theirs = errors.filter((error) => explain(error, 'network', PING_CODES).status === 'failed')
  const ours = errors.filter((error) => !theirs.includes(error) && !(theirs.length > 0 && isMissingFamily(error)))
  return ours[0] ?? theirs[0] ?? new Error('no address was tried')
}

function isMissingFamily(error: Error): boolean {
  return 'code' in error && (error.code === 'EADDRNOTAVAIL' || error.code === 'prober_no_network')
}

/** The same error with more to say. */
function inOthersName(error: Error, lead: string): Error {
  const message = lead + error.message
  if (error instanceof ProbeFailure) return new ProbeFailure(error.code, message)
  return Object.assign(new Error(message, { cause: error }), 'code' in error ? { code: error.code } : {})
}

function report(probe: Context, tried: readonly Tried[]): void {
  const outcomes = tried.flatMap(({ outcome }) => outcome ?? [])
  const total = (figure: (outcome: EchoOutcome) => number) => outcomes.reduce((sum, outcome) => sum + figure(outcome), 0)
  const sent = total((outcome) => outcome.sent)
  const received = total(({ rtts }) => rtts.length)
  probe.gauge('probe_icmp_packets_sent', sent)
  probe.gauge('probe_icmp_packets_received', received)
  if (sent > 0) probe.gauge('probe_icmp_packet_loss_ratio', 1 - received / sent)
  probe.gauge('probe_icmp_duplicates', total(({ duplicates }) => duplicates))

  const replyTtl = outcomes.find((outcome) => outcome.replyTtl !== undefined)?.replyTtl
  if (replyTtl !== undefined) probe.gauge('probe_icmp_reply_hop_limit', replyTtl)
  const figures = figuresOf(outcomes.map(({ rtts }) => rtts))
  if (!figures) return
  probe.took('rtt', figures.meanMs)
  probe.gauge('probe_icmp_rtt_min_seconds', figures.minMs / 1_000)
  probe.gauge('probe_icmp_rtt_max_seconds', figures.maxMs / 1_000)
  if (figures.jitterMs !== undefined) probe.gauge('probe_icmp_jitter_seconds', figures.jitterMs / 1_000)
}
