import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { SharedCode } from '../core/codes.ts'
import { explain } from '../core/errors.ts'
import { hostPort } from '../core/fields.ts'
import { defineProbe, ProbeFailure, type ProbeContext } from '../core/probe.ts'
import { wayTo } from '../core/way.ts'
import { addressesOf, dialFields } from './lib/dial.ts'
import { ask, encodeQuery } from './lib/dns-client.ts'
import { DNS_ANSWER_CODES } from './lib/dns-codes.ts'
import { isQueryName, RCODES, type Message, type RecordType } from './lib/dns-message.ts'
import type { Server } from './lib/resolv-conf.ts'

/** How long before the end of the run waiting stops, to say what came instead of an answer; at most a twentieth of what is left. */
const MARGIN_MS = 50
/** `kubernetes.default.svc.` and `curlew-<12>.default.svc.` must fit before it. */
const LONGEST_DOMAIN = 200

const queryName = () => z.string().refine(isQueryName, 'expected a domain name in ASCII (xn--… for others), at most 253 characters')

const options = z.strictObject({
  target: hostPort(53),
  domain: queryName().refine((name) => name.length <= LONGEST_DOMAIN, `expected at most ${LONGEST_DOMAIN} characters`).default('cluster.local').describe('the domain of the cluster'),
  external: queryName().describe('a name outside the cluster, which is asked for twice: it goes to an upstream, unless it is in the cache').meta({ examples: ['example.org'] }).optional(),
  ip_protocol: dialFields.ip_protocol,
})

const phases = { resolve: 'resolve', request: 'request', miss: 'request', forward: 'request', forward_hit: 'request' } as const
type Question = 'request' | 'miss' | 'forward' | 'forward_hit'

const gauges = {
  probe_ip_protocol: 'IP version of the address that was used: 4 or 6.',
  probe_dns_lookup_time_seconds: 'Time that the look-up of the name took.',
  probe_kube_dns_rcode: { help: 'Return code of the answer to each question, by its phase: 0 NOERROR, 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED.', labels: ['question'], series: 4 },
} as const

const codes = {
  ...DNS_ANSWER_CODES,
  kube_dns_no_kubernetes: { layer: 'request', reason: 'not_found', en: 'The DNS server does not know the name of the Kubernetes API: the cluster has another domain, or the server\'s kubernetes plugin does not serve it.', zh: 'DNS 服务器不认识 Kubernetes API 的域名：集群域名不同，或其 kubernetes 插件未提供该域。' },
  kube_dns_no_address: { layer: 'assert', reason: 'mismatch', en: 'The DNS server knows the name of the Kubernetes API, but has no address for it.', zh: 'DNS 服务器认识 Kubernetes API 的域名，但没有对应地址。' },
  kube_dns_servfail: { layer: 'request', reason: 'unavailable', en: 'The DNS server cannot answer for names of the cluster (SERVFAIL): it does not reach the Kubernetes API, or has just started.', zh: 'DNS 服务器无法应答集群内域名（SERVFAIL）：连不上 Kubernetes API，或刚刚启动。' },
  kube_dns_refused: { layer: 'request', reason: 'refused', en: 'The DNS server refuses names of the cluster (REFUSED): no server block of its Corefile serves them, or its acl forbids Curlew.', zh: 'DNS 服务器拒绝应答集群内域名（REFUSED）：Corefile 中没有对应的 server 块，或其 acl 禁止 Curlew。' },
  kube_dns_wildcard: { layer: 'assert', reason: 'mismatch', en: 'The DNS server has an answer for a name of the cluster that nobody has: a rewrite or a wildcard in its Corefile.', zh: 'DNS 服务器对集群中不存在的域名给出了应答：其 Corefile 中有 rewrite 或通配规则。' },
  kube_dns_other: { layer: 'request', reason: 'other', en: 'The DNS server answered with an unusual return code.', zh: 'DNS 服务器返回了不常见的返回码。', unmapped: true },
  kube_dns_forward_failed: { layer: 'request', reason: 'unavailable', en: 'The DNS server answers for the cluster, but not for names outside: its upstreams are at fault, or the way to them. They are probed apart.', zh: 'DNS 服务器能应答集群内域名，但无法解析外部域名：上游 DNS 或到上游的网络有问题。上游另有探测。' },
  kube_dns_forward_not_found: { layer: 'request', reason: 'not_found', en: 'The DNS server answers for the cluster, and says that the name outside does not exist: choose a name that does as external, or an upstream answers wrongly.', zh: 'DNS 服务器能应答集群内域名，但称外部域名不存在：请将 external 设为存在的域名，或检查上游 DNS 的应答。' },
  kube_dns_forward_timeout: { layer: 'request', reason: 'timeout', en: 'The DNS server answers for the cluster, but has no answer in time for a name outside: its upstreams are slow or gone. They are probed apart.', zh: 'DNS 服务器能应答集群内域名，但未能按时解析外部域名：上游 DNS 缓慢或不可用。上游另有探测。' },
} as const

type Context = ProbeContext<keyof typeof phases, keyof typeof gauges, keyof typeof codes | SharedCode>

export const kubeDns = defineProbe({
  type: 'kube-dns',
  summary: 'One DNS server of a Kubernetes cluster, a CoreDNS pod say: a name that it knows, one that nobody has, and one outside, each timed apart',
  options,
  phases,
  gauges,
  codes,
  schemes: ['kube-dns'],
  fromUrl(url) {
    if (url.username !== '') throw new Error('expected no user in the URL')
    if (!['', '/'].includes(url.pathname)) throw new Error('expected kube-dns://host:port without a path')
    return { ...Object.fromEntries(url.searchParams), target: url.host }
  },
  ways: (read) => wayTo(read, undefined, false),
  example: { target: '10.244.0.3:53', external: 'example.org' },

  async run(read, probe) {
    const [{ ip }] = await addressesOf(probe, read.target.host, { ip_protocol: read.ip_protocol, addresses: 'first' })
    const server = { ip, port: read.target.port }
    await known(server, `kubernetes.default.svc.${read.domain}`, probe)
    // No server has it in its cache: the answer comes from what the server itself knows. One name a run, in the cache for as
    // long as the cluster's domain lets a denial stay there (CoreDNS: 30 s at most unless configured), so that it never fills.
    await missing(server, `curlew-${randomBytes(6).toString('hex')}.default.svc.${read.domain}`, probe)
    if (read.external === undefined) return
    for (const phase of ['forward', 'forward_hit'] as const) await outside(server, read.external, phase, probe)
  },
})

/** The name that every cluster has, which CoreDNS answers from memory. */
async function known(server: Server, name: string, probe: Context): Promise<void> {
  const message = await question(server, name, 'A', 'request', probe)
  if (rcodeOf(message) !== 'NOERROR') refuse(message, name, probe)
  if (message.answers.some(({ type }) => type === 'A')) return
  // A cluster of IPv6 alone.
  const other = await question(server, name, 'AAAA', 'request', probe)
  if (!other.answers.some(({ type }) => type === 'AAAA')) probe.fail('kube_dns_no_address', `${name} has no address: the answer is NOERROR, with nothing in it`)
}

async function missing(server: Server, name: string, probe: Context): Promise<void> {
  const message = await question(server, name, 'A', 'miss', probe)
  const rcode = rcodeOf(message)
  if (rcode !== 'NXDOMAIN' && rcode !== 'NOERROR') refuse(message, name, probe)
  const [answer] = message.answers
  if (answer) probe.fail('kube_dns_wildcard', `${name}, which nobody has, is answered with ${answer.type} ${answer.value.slice(0, 100)}`)
}

async function outside(server: Server, name: string, phase: 'forward' | 'forward_hit', probe: Context): Promise<void> {
  let message: Message
  try {
    message = await question(server, name, 'A', phase, probe)
  } catch (error) {
    if (probe.signal.aborted || explain(error, 'request', codes).failure.reason !== 'timeout') throw error
    throw new ProbeFailure('kube_dns_forward_timeout', `no answer for ${name}, though names of the cluster are answered`)
  }
  if (rcodeOf(message) !== 'NOERROR') probe.fail(rcodeOf(message) === 'NXDOMAIN' ? 'kube_dns_forward_not_found' : 'kube_dns_forward_failed', `answered ${rcodeOf(message)} for ${name}, though names of the cluster are answered`)
}

async function question(server: Server, name: string, record: RecordType, phase: Question, probe: Context): Promise<Message> {
  const { signal, deadline } = probe
  const message = await probe.phase(phase, () => ask(server, encodeQuery(name, record), { signal, giveUpAt: deadline - Math.min(MARGIN_MS, (deadline - performance.now()) / 20) }))
  if (record === 'A') probe.gauge('probe_kube_dns_rcode', message.rcode, { question: phase })
  return message
}

function refuse(message: Message, name: string, probe: Context): never {
  const rcode = rcodeOf(message)
  const code = rcode === 'NXDOMAIN' ? 'kube_dns_no_kubernetes' : rcode === 'SERVFAIL' ? 'kube_dns_servfail' : rcode === 'REFUSED' ? 'kube_dns_refused' : 'kube_dns_other'
  probe.fail(code, `answered ${rcode} for ${name}`)
}

function rcodeOf({ rcode }: Message): string {
  return RCODES[rcode] ?? `RCODE${rcode}`
}
