import type { RE2JS } from 're2js'
import { z } from 'zod'
import type { SharedCode } from '../core/codes.ts'
import { explain } from '../core/errors.ts'
import { Endpoint, parseEndpoint, pattern } from '../core/fields.ts'
import { defineProbe, ProbeFailure, type ProbeContext } from '../core/probe.ts'
import { wayTo } from '../core/way.ts'
import { addressesOf, dial, dialFields, dialGauges } from './lib/dial.ts'
import { askStream, askUdp, connectTcp, encodeQuery, type Waiting } from './lib/dns-client.ts'
import { DNS_ANSWER_CODES } from './lib/dns-codes.ts'
import { isQueryName, RCODES, RECORD_TYPES, type Answer, type Message, type Rcode } from './lib/dns-message.ts'
import { fnv1a } from './lib/hash.ts'
import { systemResolver } from './lib/resolv-conf.ts'
import { checkTls, secure, tlsFailure, tlsFields, tlsGauges } from './lib/tls.ts'

const PORT = 53
/** RFC 7858. */
const DOT_PORT = 853
/** How long before the end of the run waiting stops, to say what came instead of an answer; at most a twentieth of what is left. */
const MARGIN_MS = 50
/** How many answers a sentence quotes. */
const QUOTED = 5
const LONGEST_QUOTE = 100

const ip_protocol = dialFields.ip_protocol
const rcodeName = z.enum(RCODES)

/** A host without a port has port 0 until the transport is known. */
const server = z.string()
  .transform((text, context) => {
    const bare = parseEndpoint(text, PORT)
    if (bare) return parseEndpoint(text, undefined) ?? new Endpoint(bare.host, 0)
    context.addIssue('expected host or host:port; an IPv6 address with a port stands in brackets')
    return z.NEVER
  })
  .describe(`the name server, host or host:port (port ${PORT} unless given, ${DOT_PORT} for dot); of a name with several addresses the first is asked`)

const options = z.object({
  target: server,
  query: z.string().refine(isQueryName, 'expected a domain name in ASCII (xn--… for others), at most 253 characters').describe('the name to ask for; never completed by a search list'),
  record: z.enum(RECORD_TYPES).default('A').describe('the record type to ask for'),
  transport: z.enum(['udp', 'tcp', 'dot']).default('udp').describe('a truncated answer over udp is asked for again over tcp; dot is DNS over TLS'),
  ip_protocol,
  recursion_desired: z.boolean().default(true).describe('ask the server to look elsewhere; false for authoritative servers'),
  rcode: z.union([z.literal('any'), rcodeName, z.array(rcodeName).min(1)]).default('NOERROR').describe('the return code, or one of several, that is right; any accepts every answer'),
  min_answers: z.int().min(0).max(65_535).optional().describe('fewest answers of the record type; 1 when rcode is NOERROR and 0 otherwise unless given'),
  answers: z.array(pattern()).default([]).describe('regular expressions that must each match the value of an answer, CNAMEs on the way included: `10 mail.example.org` for MX'),
  answers_not: z.array(pattern()).default([]).describe('regular expressions that must match the value of no answer'),
  ...tlsFields,
}).superRefine((read, context) => {
  if (read.transport === 'dot') checkTls(read, context)
}).overwrite((read) => (read.target.port === 0
  ? { ...read, target: new Endpoint(read.target.host, read.transport === 'dot' ? DOT_PORT : PORT) } : read))

type Options = z.output<typeof options>

const codes = {
  dns_nxdomain: { layer: 'request', reason: 'not_found', en: 'The name server says that the name does not exist: look for a typing error or a missing record.', zh: 'DNS 服务器称该域名不存在：请检查拼写或缺失的记录。' },
  dns_servfail: { layer: 'request', reason: 'other', en: 'The name server could not find out (SERVFAIL): its upstream is down, DNSSEC fails, or the zone did not load.', zh: 'DNS 服务器无法解析（SERVFAIL）：上游不可用、DNSSEC 校验失败或区域未加载。' },
  dns_refused: { layer: 'request', reason: 'denied', en: 'The name server refuses to answer this client or this name: look at its access rules and zones.', zh: 'DNS 服务器拒绝应答该客户端或该域名：请检查其访问控制与区域配置。' },
  dns_formerr: { layer: 'request', reason: 'protocol', en: 'The name server could not read the question (FORMERR).', zh: 'DNS 服务器无法解析该请求（FORMERR）。' },
  dns_notimp: { layer: 'request', reason: 'unsupported', en: 'The name server does not support this kind of question (NOTIMP).', zh: 'DNS 服务器不支持此类查询（NOTIMP）。' },
  dns_notauth: { layer: 'request', reason: 'denied', en: 'The name server is not authoritative for the zone, or the question is not authorised (NOTAUTH).', zh: '该服务器不是此区域的权威服务器，或请求未获授权（NOTAUTH）。' },
  dns_other: { layer: 'request', reason: 'other', en: 'The name server answered with an unusual return code.', zh: 'DNS 服务器返回了不常见的返回码。', unmapped: true },
  dns_unexpected_rcode: { layer: 'assert', reason: 'mismatch', en: 'The name server answered without an error where one was expected.', zh: '预期返回错误，但 DNS 服务器正常应答。' },
  ...DNS_ANSWER_CODES,
  dns_truncated_tcp_failed: { reason: 'unavailable', en: 'The answer does not fit into UDP, and over TCP it is not to be had: open port 53/tcp too.', zh: '应答超出 UDP 大小，而 TCP 方式无法获取：请同时开放 53/tcp 端口。' },
  dns_too_few_answers: { layer: 'assert', reason: 'mismatch', en: 'The answer has fewer records than expected.', zh: '应答中的记录数少于预期。' },
  dns_wrong_value: { layer: 'assert', reason: 'mismatch', en: 'The answer does not say what was expected.', zh: '应答内容与预期不符。' },
} as const

const RCODE_CODES: Partial<Record<Rcode, keyof typeof codes>> = {
  NOERROR: 'dns_unexpected_rcode', FORMERR: 'dns_formerr', SERVFAIL: 'dns_servfail', NXDOMAIN: 'dns_nxdomain', NOTIMP: 'dns_notimp',
  REFUSED: 'dns_refused', NOTAUTH: 'dns_notauth',
}

const phases = { resolve: 'resolve', connect: 'connect', tls: 'tls', request: 'request' } as const

const gauges = {
  ...dialGauges,
  ...tlsGauges,
  probe_dns_query_succeeded: 'Whether an answer came, whatever it says; absent when the question could not be asked.',
  probe_dns_rcode: 'Return code of the answer: 0 NOERROR, 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED.',
  probe_dns_answer_rrs: 'Records in the answer section.',
  probe_dns_authority_rrs: 'Records in the authority section.',
  probe_dns_additional_rrs: 'Records in the additional section.',
  probe_dns_ttl_seconds: 'The lowest TTL of the answers.',
  probe_dns_answer_hash: 'FNV-1a hash (32 bits) of what the server says of the name: its answers in order, without TTLs, or that the name does not exist. Servers that agree have the same; absent after any other return code.',
  probe_dns_serial: 'Serial number of the zone, when the SOA record was asked for.',
} as const

type Context = ProbeContext<keyof typeof phases, keyof typeof gauges, keyof typeof codes | SharedCode>

export const dns = defineProbe({
  type: 'dns',
  summary: 'Asks one name server one question, over UDP, TCP or TLS.',
  options,
  phases,
  gauges,
  codes,
  schemes: ['dns', 'dot'],
  fromUrl(url) {
    const scheme = url.protocol.slice(0, -1)
    if (url.username || url.password) throw new Error(`expected ${scheme}://server/name without a user`)
    const query = decodeURIComponent(url.pathname.slice(1))
    if (query === '' || query.includes('/')) throw new Error(`expected the name to ask for in the path: ${scheme}://server/name`)
    return { transport: scheme === 'dot' ? 'dot' : 'udp', ...fromQuery(url.searchParams), target: url.host, query }
  },
  defaultTargets() {
    // An address with a zone (fe80::1%eth0) is no target: the zone means nothing on another machine.
    return systemResolver().servers.flatMap(({ ip, port }) => (ip.includes('%') ? [] : String(new Endpoint(ip, port))))
  },
  ways: (read) => wayTo(read, read.transport === 'dot' ? read : undefined, read.transport !== 'udp'),
  example: { target: '10.96.0.10', query: 'kubernetes.default.svc.cluster.local', answers: ['^10\\.'] },
  async run(read, probe) {
    probe.zeroPhases()
    const message = await exchange(read, probe)
    report(read, message, probe)
    judge(read, message, probe)
  },
})

/** Options from a URL's query; `type` is what RFC 4501 calls the record type. Throws for keys that are no options. */
function fromQuery(query: URLSearchParams): Record<string, unknown> {
  const read: Record<string, unknown> = {}
  for (const [key, value] of query) {
    const name = key === 'type' ? 'record' : key
    if (!Object.hasOwn(options.shape, name) || name === 'target' || name === 'query') throw new Error(`unknown key ${key}`)
    if (name === 'answers' || name === 'answers_not') read[name] = query.getAll(key)
    else if (name === 'rcode') read[name] = value === 'any' ? value : value.toUpperCase().split(',')
    else if (name === 'record') read[name] = value.toUpperCase()
    else if (name === 'min_answers') read[name] = Number(value)
    else read[name] = value === 'true' || value === 'false' ? value === 'true' : value
  }
  return read
}

async function exchange(read: Options, probe: Context): Promise<Message> {
  const query = encodeQuery(read.query, read.record, read.recursion_desired)
  const one = { ip_protocol: read.ip_protocol, addresses: 'first' } as const
  if (read.transport !== 'udp') {
    const plain = await dial(probe, read.target, one)
    let socket = plain
    try {
      if (read.transport === 'dot') socket = await secure(probe, plain, read.target.host, read)
      return await request(probe, read, (waiting) => askStream(socket, query, waiting))
    } finally {
      socket.destroy()
      plain.destroy()
    }
  }
  const [{ ip }] = await addressesOf(probe, read.target.host, one)
  const asked = { ip, port: read.target.port }
  const message = await request(probe, read, (waiting) => askUdp(asked, query, waiting))
  if (!message.truncated) return message
  try {
    const socket = await probe.phase('connect', () => connectTcp(asked, waitingOf(probe)))
    try {
      return await probe.phase('request', () => askStream(socket, query, waitingOf(probe)))
    } finally {
      socket.destroy()
    }
  } catch (error) {
    if (probe.signal.aborted || !isTheirs(error)) throw error
    probe.gauge('probe_dns_query_succeeded', 0)
    if (error instanceof ProbeFailure && error.code in codes) throw error
    return probe.fail('dns_truncated_tcp_failed', `the answer over UDP was truncated, and over TCP: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** The phase `request`. Says that no answer came, when the server is to blame for that. */
async function request(probe: Context, read: Options, ask: (waiting: Waiting) => Promise<Message>): Promise<Message> {
  try {
    return await probe.phase('request', () => ask(waitingOf(probe)))
  } catch (thrown) {
    const error = tlsFailure(thrown, read) ?? thrown
    if (!probe.signal.aborted && isTheirs(error)) probe.gauge('probe_dns_query_succeeded', 0)
    throw error
  }
}

function isTheirs(error: unknown): boolean {
  return explain(error, 'request', codes).status === 'failed'
}

function waitingOf({ signal, deadline }: Context): Waiting {
  return { signal, giveUpAt: deadline - Math.min(MARGIN_MS, (deadline - performance.now()) / 20) }
}

function report(read: Options, { rcode, answers, counts }: Message, probe: Context): void {
  probe.gauge('probe_dns_query_succeeded', 1)
  probe.gauge('probe_dns_rcode', rcode)
  probe.gauge('probe_dns_answer_rrs', counts.answers)
  probe.gauge('probe_dns_authority_rrs', counts.authorities)
  probe.gauge('probe_dns_additional_rrs', counts.additionals)
  if (answers.length > 0) probe.gauge('probe_dns_ttl_seconds', answers.reduce((lowest, { ttl }) => Math.min(lowest, ttl), Infinity))
  const hash = answerHash(rcode, answers)
  if (hash !== undefined) probe.gauge('probe_dns_answer_hash', hash)
  const serial = read.record === 'SOA' ? answers.find(({ type }) => type === 'SOA')?.value.split(' ')[2] : undefined
  if (serial !== undefined) probe.gauge('probe_dns_serial', Number(serial))
}

/** Of what another server would have to say too; undefined where this one could not or would not say. The order of answers means nothing. */
function answerHash(rcode: number, answers: readonly Answer[]): number | undefined {
  const name = RCODES[rcode]
  if (name !== 'NOERROR' && name !== 'NXDOMAIN') return undefined
  return fnv1a([name, ...answers.map(({ type, value }) => `${type} ${value}`).toSorted()].join('\n'))
}

/** Fails the run unless the answer is what was expected. */
function judge(read: Options, message: Message, probe: Context): void {
  const rcode = RCODES[message.rcode] as Rcode // safe: four bits, sixteen names
  const expected: readonly string[] = read.rcode === 'any' ? RCODES : typeof read.rcode === 'string' ? [read.rcode] : read.rcode
  if (!expected.includes(rcode)) {
    probe.fail(RCODE_CODES[rcode] ?? 'dns_other', `answered ${rcode} for ${read.query} ${read.record}, expected ${expected.join(' or ')}`)
  }

  const wanted = message.answers.filter(({ type }) => read.record === 'ANY' || type === read.record)
  const least = read.min_answers ?? (expected.length === 1 && rcode === 'NOERROR' ? 1 : 0)
  if (wanted.length < least) {
    probe.fail('dns_too_few_answers', `${wanted.length} ${read.record} records for ${read.query}, expected at least ${least}: ${quote(message)}`)
  }
  const matches = (wantedPattern: RE2JS) => message.answers.find(({ value }) => wantedPattern.test(value))
  for (const each of read.answers) {
    if (!matches(each)) probe.fail('dns_wrong_value', `no answer matches ${each.pattern()}: ${quote(message)}`)
  }
  for (const each of read.answers_not) {
    const found = matches(each)
    if (found) probe.fail('dns_wrong_value', `an answer matches ${each.pattern()}: ${shown(found)}`)
  }
}

function quote({ answers }: Message): string {
  if (answers.length === 0) return 'the answer section is empty'
  return `got ${answers.slice(0, QUOTED).map(shown).join(', ')}${answers.length > QUOTED ? ` and ${answers.length - QUOTED} more` : ''}`
}

function shown({ type, value }: Answer): string {
  return `${type} ${value.length > LONGEST_QUOTE ? `${value.slice(0, LONGEST_QUOTE)}…` : value}`
}
