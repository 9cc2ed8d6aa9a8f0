import { z } from 'zod'
import { hostPort } from '../core/fields.ts'
import { defineProbe, type ProbeContext } from '../core/probe.ts'
import { VERSION } from '../core/version.ts'
import { wayTo } from '../core/way.ts'
import { dialFields, dialGauges } from './lib/dial.ts'
import { endpointOf, httpTarget } from './lib/http-target.ts'
import { KUBE_PATH_CODES } from './lib/kube-path-codes.ts'
import { walkLeg, type LegRequest, type LegResult } from './lib/kube-path-leg.ts'
import { isDegraded, pathVerdict } from './lib/kube-path-verdict.ts'
import { checkTls, tlsFields, tlsGauges } from './lib/tls.ts'

const MOST_PODS = 20
const MOST_INGRESSES = 8
const LEGS = ['pod', 'service', 'ingress'] as const

const options = z.strictObject({
  target: httpTarget(),
  ingress: z.array(hostPort()).min(1).max(MOST_INGRESSES).describe('host:port of the ingress controller or its load balancer; the addresses of the name unless given').optional(),
  service: hostPort().describe('host:port of the Service: its cluster IP or DNS name; left out unless given').optional(),
  pods: z.array(hostPort()).max(MOST_PODS).default([]).describe('ip:port of the pods behind it'),
  backend: z.enum(['http', 'https']).default('http').describe('what Service and pods speak; a certificate of theirs is not verified'),
  backend_path: z.string().regex(/^\/[\x21-\x7e]*$/, 'expected a path that begins with /').describe('path that Service and pods are asked for, where the ingress rewrites it; that of the URL unless given').optional(),
  host_header: z.string().regex(/^[A-Za-z0-9._:[\]-]+$/, 'expected host or host:port').describe('Host to ask for on every leg instead of that of the URL; TLS asks for it and verifies it too').optional(),
  status: z.array(z.union([z.int().min(100).max(599), z.enum(['1xx', '2xx', '3xx', '4xx', '5xx'])])).min(1).default(['2xx']).describe('statuses to expect on every leg; redirects are not followed'),
  ...tlsFields,
  ip_protocol: dialFields.ip_protocol,
}).superRefine(checkTls)

type Options = z.output<typeof options>

const gauges = {
  ...dialGauges,
  ...tlsGauges,
  probe_kube_path_up: { help: 'Whether a leg is well by itself: pod (at least one), service, ingress (at least one); no sample for one that is not asked.', labels: ['leg'], series: LEGS.length },
  probe_kube_path_pods: { help: 'Pods by what came of asking them directly.', labels: ['state'], series: 2 },
  probe_kube_path_ingresses: { help: 'Addresses of the ingress by what came of asking them, where several are given.', labels: ['state'], series: 2 },
  probe_kube_path_status_code: { help: 'Status of the answer on a leg; of several pods or addresses, of the first that fails, else of the first.', labels: ['leg'], series: LEGS.length },
  probe_kube_path_degraded: 'Whether users are served although a pod, the Service or an address of the ingress is not well when asked directly.',
} as const

export const kubePath = defineProbe({
  type: 'kube-path',
  summary: 'The way of a request into a cluster: ingress, Service and pods, each asked by itself at the same time, so that the leg that is broken is named. It fails only where the ingress does not serve',
  options,
  phases: { pod: 'request', service: 'request', ingress: 'request' },
  gauges,
  codes: KUBE_PATH_CODES,
  schemes: ['kube-path+http', 'kube-path+https'],
  targetSchemes: ['http', 'https'],
  fromUrl(url) {
    if (url.username !== '' || url.password !== '') throw new Error('expected no user name or password in the URL: pods are asked for what needs none')
    return { target: `${url.protocol.replace('kube-path+', '')}//${url.host}${url.pathname}${url.search}` }
  },
  ways(options) {
    const url = options.target.url()
    const tls = url.protocol === 'https:' ? { ...options, server_name: tlsName(options) } : undefined
    return (options.ingress ?? [options.target]).flatMap((target) => wayTo({ target, ip_protocol: options.ip_protocol }, tls))
  },
  example: { target: 'https://shop.example.org/health', service: 'shop.shop.svc.cluster.local:80', pods: ['10.244.1.7:8080', '10.244.2.9:8080'] },

  async run(options, probe) {
    const legs = await probe.phase('ingress', () => walk(options, probe))
    const named = [['pod', legs.pods], ['service', legs.service ? [legs.service] : []], ['ingress', legs.ingresses]] as const
    for (const [leg, results] of named) exportLeg(probe, leg, results)
    if (legs.pods.length > 0) exportCounts(probe, 'probe_kube_path_pods', legs.pods)
    if (legs.ingresses.length > 1) exportCounts(probe, 'probe_kube_path_ingresses', legs.ingresses)
    probe.gauge('probe_kube_path_degraded', Number(isDegraded(legs)))
    const verdict = pathVerdict(legs)
    if (verdict) throw verdict
  },
})

type Context = ProbeContext<(typeof LEGS)[number], keyof typeof gauges>

async function walk(options: Options, probe: Context) {
  const url = options.target.url()
  const host = options.host_header ?? url.host
  const scheme = url.protocol.slice(0, -1)
  const requestFor = (path: string, forwarded: boolean): LegRequest['request'] => ({
    method: 'GET', path, body: undefined,
    headers: new Map([
      ['Host', host], ['User-Agent', `Curlew/${VERSION}`], ['Accept', '*/*'],
      // What an ingress adds: without it, many an application would send every request on to https.
      ...forwarded ? [['X-Forwarded-Proto', scheme], ['X-Forwarded-Host', host]] as const : [],
    ]),
  })
  const path = `${url.pathname}${url.search}`
  const shared = { dial: { ip_protocol: options.ip_protocol }, expected: options.status }
  const inner: LegRequest = {
    ...shared, request: requestFor(options.backend_path ?? path, true),
    tls: options.backend === 'https' ? { name: options.target.host, options: { insecure_skip_verify: true, min_version: 'TLS1.2' } } : undefined,
  }
  const outer: LegRequest = { ...shared, request: requestFor(path, false), tls: scheme === 'https' ? { name: tlsName(options), options } : undefined }
  const quiet = () => {}
  const [pods, service, ingresses] = await Promise.all([
    Promise.all(options.pods.map((pod) => walkLeg(probe, pod, inner, quiet))),
    options.service && walkLeg(probe, options.service, inner, quiet),
    // A series stands once in a run: the first address speaks for the certificate.
    Promise.all((options.ingress ?? [endpointOf(url)]).map((one, index) => walkLeg(probe, one, outer, index === 0 ? probe.gauge : quiet))),
  ])
  return { pods, service, ingresses }
}

/** A virtual host is chosen by Host and by the name in TLS alike. */
function tlsName({ target, host_header: header, server_name: name }: Options): string {
  const named = header !== undefined && URL.canParse(`https://${header}`) ? new URL(`https://${header}`).hostname.replace(/^\[|\]$/g, '') : undefined
  return name ?? named ?? target.host
}

function exportLeg(probe: Context, leg: (typeof LEGS)[number], results: readonly LegResult[]): void {
  const known = results.filter(({ failure }) => failure?.layer !== 'prober')
  const shown = known.find(({ failure }) => failure !== undefined) ?? known[0]
  if (!shown) return
  probe.took(leg, Math.max(...known.map(({ ms }) => ms)))
  probe.gauge('probe_kube_path_up', Number(known.some(({ failure }) => !failure)), { leg })
  if (shown.status !== undefined) probe.gauge('probe_kube_path_status_code', shown.status, { leg })
}

function exportCounts(probe: Context, name: 'probe_kube_path_pods' | 'probe_kube_path_ingresses', results: readonly LegResult[]): void {
  probe.gauge(name, results.filter(({ failure }) => !failure).length, { state: 'ok' })
  probe.gauge(name, results.filter(({ failure }) => failure && failure.layer !== 'prober').length, { state: 'failed' })
}
