import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { SharedCode } from '../core/codes.ts'
import { hostPort } from '../core/fields.ts'
import { defineProbe, ProbeFailure, type ProbeContext } from '../core/probe.ts'
import { taintPassing } from '../core/secrets.ts'
import { wayTo, type TlsOptions } from '../core/way.ts'
import { dial, dialFields, dialGauges } from './lib/dial.ts'
import type { KeptAnswer } from './lib/http-kept.ts'
import { checkKube, KUBE_CODES, kubeApi, kubeFields, loadKube, releaseKube } from './lib/kube.ts'
import { checkNames, ETCD_CHECKS, MOST_CHECKS } from './lib/kube-api-checks.ts'
import { KUBE_API_CODES } from './lib/kube-api-codes.ts'
import { dialByProxy, proxyOf, type ServerProxy } from './lib/kube-api-proxy.ts'
import { apiSession, type ApiSession } from './lib/kube-api-session.ts'
import { checkTls, tlsFields, tlsGauges } from './lib/tls.ts'
import { queryOptions } from './lib/url-query.ts'

const PORT = 6443
/** Checks are asked until so long before the end of the run, which is there to say what they were. */
const MARGIN_MS = 200
/** `/metrics/slis` of a server with 60 checks of three kinds is 60 KB. */
const SLIS_LIMIT = 1024 * 1024
/** How many checks a sentence names. */
const NAMED = 6

const options = z.strictObject({
  target: hostPort(PORT),
  ...kubeFields,
  token_file: z.string().min(1).describe('file with a bearer token, such as that of a ServiceAccount; read at each run').optional(),
  ...tlsFields,
  ...dialFields,
}).superRefine((read, context) => {
  checkTls(read, context)
  checkKube(read, context)
  for (const key of ['ca_file', 'cert_file', 'key_file', 'token_file'] as const) {
    if (read.kubeconfig !== undefined && read[key] !== undefined) context.addIssue({ code: 'custom', path: [key], message: 'expected either it or a kubeconfig', input: read[key] })
  }
})

type Options = z.output<typeof options>

const phases = { resolve: 'resolve', connect: 'connect', tls: 'tls', livez: 'request', readyz: 'request', etcd: 'request' } as const

const gauges = {
  ...dialGauges,
  ...tlsGauges,
  probe_kube_api_live: 'Whether the API server says that it lives (/livez); absent when it may not be asked.',
  probe_kube_api_ready: 'Whether the API server says that it is ready (/readyz), and sees etcd.',
  probe_kube_api_check: { help: 'Whether a check of /readyz passes: those of etcd at each run, the others when the server is not ready.', labels: ['check'], series: MOST_CHECKS },
} as const

const codes = { ...KUBE_CODES, ...KUBE_API_CODES } as const

type Context = ProbeContext<keyof typeof phases, keyof typeof gauges, keyof typeof codes | SharedCode>

/** The way of each job that goes by a kubeconfig, as its last run found it. */
const ways = new WeakMap<Options, Pick<Access, 'tls' | 'proxy'>>()

export const kubeApiProbe = defineProbe({
  type: 'kube-api',
  summary: 'One Kubernetes API server: whether it lives, is ready and sees etcd, by status codes, and its certificate as clients verify it',
  options,
  phases,
  gauges,
  codes,
  schemes: ['kube-api'],
  fromUrl(url) {
    if (url.username !== '') throw new Error('expected no user in the URL: set token_file or kubeconfig')
    if (!['', '/'].includes(url.pathname)) throw new Error('expected kube-api://host:port without a path')
    return { ...queryOptions(url), target: url.host }
  },
  // Whom the kubeconfig trusts is known to a run only: a walk must not call its certificate untrusted.
  ways(read) {
    if (read.kubeconfig === undefined) return wayTo(read, read)
    const { tls, proxy } = ways.get(read) ?? {}
    if (proxy) return proxy.via ? wayTo({ target: proxy.via.endpoint }) : []
    return wayTo(read, { ...read, server_name: tls?.server_name ?? read.server_name, insecure_skip_verify: true })
  },
  example: { target: '10.0.0.1:6443', kubeconfig: '/etc/curlew/room-a.kubeconfig' },
  // With files of its own it asks by itself, and needs no library.
  load: (read) => (read.kubeconfig === undefined ? undefined : loadKube()),
  release: releaseKube,

  async run(read, probe) {
    const { tls, token, proxy } = await accessOf(read, probe)
    const session = apiSession(probe, read.target, { ...read, ...tls }, token, (context) => (proxy ? dialByProxy(context, proxy, read) : dial(context, read.target, read)))
    try {
      await judge(session, probe)
    } finally {
      session.close()
    }
  },
})

/** What the server is trusted by, what it is told of us, and the proxy on the way. */
interface Access {
  readonly tls: Partial<TlsOptions>
  readonly token: string | undefined
  readonly proxy: ServerProxy | undefined
}

async function accessOf(read: Options, probe: Context): Promise<Access> {
  if (read.kubeconfig === undefined) return { tls: {}, token: read.token_file === undefined ? undefined : tokenOf(read.token_file), proxy: undefined }
  const api = await kubeApi(read, probe)
  const { ca, cert, key, token, insecureSkipVerify, serverName, proxyUrl } = await api.credentials()
  const access = {
    tls: { pem: { ca, cert, key }, insecure_skip_verify: read.insecure_skip_verify || insecureSkipVerify, server_name: read.server_name ?? serverName },
    token,
    proxy: proxyUrl === undefined ? undefined : proxyOf(proxyUrl, read.target, await api.server()),
  }
  ways.set(read, access)
  return access
}

/** It is rotated every hour, so it is read again each time. */
function tokenOf(path: string): string {
  try {
    const token = readFileSync(path, 'utf8').trim()
    taintPassing(token)
    return token
  } catch (error) {
    throw new ProbeFailure('prober_denied', `token_file: expected a readable file: ${error instanceof Error ? error.message : String(error)}`)
  }
}

async function judge(session: ApiSession, probe: Context): Promise<void> {
  const live = await liveness(session, probe)
  probe.gauge('probe_kube_api_live', live ? 1 : 0)
  const ready = live && passes(await ask(session, probe, 'readyz', '/readyz'), '/readyz')
  const failing = await failingChecks(session, probe, ready)
  const etcd = !failing.some((name) => ETCD_CHECKS.includes(name))
  probe.gauge('probe_kube_api_ready', ready && etcd ? 1 : 0)
  if (ready && etcd) return

  const named = failing.length === 0 ? 'which check fails this login may not ask: its role needs get on /readyz/*'
    : `failing: ${failing.slice(0, NAMED).join(', ')}${failing.length > NAMED ? ` and ${failing.length - NAMED} more` : ''}`
  const said = !live ? 'not live' : !ready ? 'not ready' : 'ready, but does not see etcd'
  probe.fail(!etcd ? 'kube_api_etcd_down' : !live ? 'kube_api_not_live' : 'kube_api_not_ready', `the API server is ${said}; ${named}`)
}

/** `/livez`, which everybody may ask unless anonymous requests are off. Throws for what is no answer of an API server. */
async function liveness(session: ApiSession, probe: Context): Promise<boolean> {
  let answer = await ask(session, probe, 'livez', '/livez')
  // A token that has expired is refused where nobody would have asked for one.
  if (answer.status === 401 && session.forgetToken()) answer = await ask(session, probe, 'livez', '/livez')
  // Every Kubernetes says just this word.
  if (answer.status === 200 && answer.text.trim() !== 'ok') throw new ProbeFailure('kube_api_not_kubernetes', '/livez is answered with 200, but not with ok')
  return passes(answer, '/livez')
}

/** Whether a status says well (200) or not (500); throws for any other. */
function passes({ status }: KeptAnswer, path: string): boolean {
  const said = `${path} is answered with ${status}`
  switch (status) {
    case 200: return true
    case 401: case 403: throw new ProbeFailure('kube_api_login_refused', said)
    case 429: throw new ProbeFailure('kube_api_overloaded', said)
    case 502: case 503: case 504: throw new ProbeFailure('kube_api_gateway', said)
    default:
      if (status >= 500) return false
      throw new ProbeFailure('kube_api_not_kubernetes', said)
  }
}

/**
 * The checks that do not pass: of etcd always, since the server finds out late about it, of all where it is not ready. As
 * many as there is time for; a check that does not answer in time does not pass.
 */
async function failingChecks(session: ApiSession, probe: Context, ready: boolean): Promise<readonly string[]> {
  const failing: string[] = []
  const check = async (phase: 'etcd' | 'readyz', name: string) => {
    const asked = await askInTime(session, probe, phase, `/readyz/${name}`)
    // OpenShift's servers see etcd as well, and take no part of it into their readiness.
    const answer = asked?.status === 404 && name === 'etcd' ? await askInTime(session, probe, phase, `/livez/${name}`) : asked
    const known = answer === undefined || answer.status === 200 || answer.status >= 500
    // The server has none of that name, or this login may not ask.
    if (!known) return
    const passing = answer?.status === 200
    probe.gauge('probe_kube_api_check', passing ? 1 : 0, { check: name })
    if (!passing) failing.push(name)
  }
  try {
    for (const name of ETCD_CHECKS) if (failing.length === 0 && hasTime(probe)) await check('etcd', name)
    if (ready) return failing
    const slis = hasTime(probe) ? await askInTime(session, probe, 'readyz', '/metrics/slis', SLIS_LIMIT) : undefined
    for (const name of checkNames(slis?.status === 200 ? slis.text : undefined)) if (hasTime(probe)) await check('readyz', name)
  } catch (error) {
    // A server that goes away has said enough.
    if (ready || probe.signal.aborted) throw error
  }
  return failing
}

function hasTime({ deadline }: Context): boolean {
  return deadline - performance.now() > MARGIN_MS
}

async function ask(session: ApiSession, probe: Context, phase: 'livez' | 'readyz', path: string): Promise<KeptAnswer> {
  await session.connect()
  return probe.phase(phase, () => session.ask(path))
}

/** Undefined when there is no answer while there is still time to say so. */
async function askInTime(session: ApiSession, probe: Context, phase: 'etcd' | 'readyz', path: string, limit?: number): Promise<KeptAnswer | undefined> {
  await session.connect()
  return probe.phase(phase, () => {
    const { promise, resolve, reject } = Promise.withResolvers<KeptAnswer | undefined>()
    const timer = setTimeout(() => resolve(undefined), Math.max(0, probe.deadline - performance.now() - MARGIN_MS))
    session.ask(path, limit).then(resolve, reject)
    return promise.finally(() => clearTimeout(timer))
  })
}
