import { z } from 'zod'
import { Endpoint, Host, hostPort, secret } from '../core/fields.ts'
import { defineProbe, ProbeFailure, type ProbeContext } from '../core/probe.ts'
import { wayTo } from '../core/way.ts'
import type { SharedCode } from '../core/codes.ts'
import { CERT_CODES, FileProblem, verdictOf } from './lib/cert-codes.ts'
import { collect, type Collected } from './lib/cert-collect.ts'
import { datesProblem, factsOf, type CertificateFacts } from './lib/cert-facts.ts'
import { openFiles } from './lib/cert-files.ts'
import { certGauges, exportCertificates, exportFiles, MOST_SERVED, type CertGauge } from './lib/cert-gauges.ts'
import { pkcs12Reader } from './lib/cert-pkcs12.ts'
import { compareServed } from './lib/cert-served.ts'
import { certTarget } from './lib/cert-target.ts'
import { PathTarget, pathOfUrl } from './lib/path-target.ts'
import { dial, dialFields } from './lib/dial.ts'
import { DIALOGUES, leaveTls, STARTTLS, startTls } from './lib/starttls.ts'
import { closePolitely } from './lib/stream.ts'
import { awaitRefusal, checkTls, shakeHands, tlsFields } from './lib/tls.ts'

const TLS_PORT = 443

const options = z.strictObject({
  target: certTarget(),
  starttls: z.enum(STARTTLS).describe('protocol that the endpoint speaks before TLS; the port is 443 without it, else that of the protocol, unless given').optional(),
  ...tlsFields,
  insecure_skip_verify: z.boolean().default(false).describe('do not fail for an untrusted certificate, only for its dates'),
  ...dialFields,
  password: secret().describe('password of the keystores (PKCS#12, JKS, JCEKS) that the target is or holds').optional(),
  preset: z.enum(['kubeadm']).describe('of a directory such as /etc/kubernetes: the files that kubeadm and the kubelet keep, instead of what lies in it').optional(),
  root: z.string().regex(/^\//, 'expected an absolute path').transform((path) => path.replace(/\/+$/, '')).default('').describe('where the file system is mounted that the target and its symbolic links mean, such as /host').meta({ examples: ['/host'] }),
  served: z.array(hostPort()).min(1).max(MOST_SERVED).describe('host:port of servers that must show one of the certificates on disk: one that was not restarted after a renewal shows the old one. With preset kubeadm the ports 6443, 2379, 10250, 10257 and 10259 are compared with the very file that the server there is told to show, and left out where this node has no such server, it does not answer there, or it makes its certificate in memory').optional(),
}).superRefine((options, context) => {
  checkTls(options, context)
  const file = options.target instanceof PathTarget
  // A password is no mistake: `check` gives one to every target.
  for (const key of file ? FOR_ENDPOINTS : FOR_FILES) {
    if (options[key] !== undefined && options[key] !== '') context.addIssue({ code: 'custom', path: [key], message: `expected ${file ? 'an endpoint' : 'a file or directory'} as target beside it`, input: options[key] })
  }
}).overwrite((options) => ({ ...options, target: withPort(options.target, options.starttls) }))

const FOR_ENDPOINTS = ['starttls', 'ca_file', 'cert_file', 'key_file', 'server_name'] as const
const FOR_FILES = ['preset', 'root', 'served'] as const

type Options = z.output<typeof options>
type Context = ProbeContext<'resolve' | 'connect' | 'starttls' | 'tls' | 'read', CertGauge, keyof typeof CERT_CODES | SharedCode>

export const cert = defineProbe({
  type: 'cert',
  prefix: 'ssl',
  summary: 'Certificates: of a TLS endpoint, with STARTTLS or without, or in files (PEM, kubeconfig, PKCS#12, JKS). Every expiry is exported whatever else is wrong. A MySQL sees a login by the user curlew, which it must refuse: a client that leaves without one would get its host blocked',
  options,
  phases: { resolve: 'resolve', connect: 'connect', starttls: 'request', tls: 'tls', read: 'request' },
  gauges: certGauges,
  codes: CERT_CODES,
  levels: { expires_in_seconds: { gauge: 'probe_ssl_expires_in_seconds', worse: 'below' } },
  schemes: ['tls', 'cert'],
  fromUrl(url) {
    const query = Object.fromEntries(Array.from(url.searchParams, ([key, value]) => [key, key === 'insecure_skip_verify' ? value === 'true' : key === 'served' ? value.split(',') : value]))
    if (url.protocol === 'cert:') return { ...query, target: pathOfUrl(url) }
    if (url.username !== '') throw new Error('expected no user name in the URL: a certificate is shown to everybody')
    if (!['', '/'].includes(url.pathname)) throw new Error('expected a URL without a path, such as tls://host:port?starttls=smtp; a file is cert:///path')
    return { ...query, target: url.host }
  },
  ways(options) {
    const target = withPort(options.target, options.starttls)
    if (target instanceof PathTarget) return []
    // Without a login, a connection to MySQL counts towards max_connect_errors.
    return wayTo({ ...options, target }, options.starttls === undefined ? options : undefined, options.starttls !== 'mysql')
  },
  example: { target: 'mail.example.org:25', starttls: 'smtp' },

  async run(options, probe) {
    const target = withPort(options.target, options.starttls)
    if (target instanceof PathTarget) await checkFiles(options, target.path, probe)
    else await checkEndpoint(options, target, probe)
  },
})

function withPort(target: Options['target'], starttls: Options['starttls']): PathTarget | Endpoint {
  return target instanceof Host ? new Endpoint(target.host, starttls === undefined ? TLS_PORT : DIALOGUES[starttls].port) : target
}

async function checkEndpoint(options: Options, endpoint: Endpoint, probe: Context): Promise<void> {
  const { starttls } = options
  const plain = await dial(probe, endpoint, options)
  if (starttls !== undefined) await startTls(probe, plain, starttls)
  let facts: CertificateFacts[] = []
  const { socket, failure } = await shakeHands(probe, plain, endpoint.host, options, [], (sent) => {
    facts = sent.flatMap((certificate, index) => factsOf(certificate, '', String(index)) ?? [])
    exportCertificates(probe, facts)
  })
  try {
    if (!failure) await awaitRefusal(probe, socket, options)
    if (starttls !== undefined) await leaveTls(probe, socket, starttls)
    // With insecure_skip_verify nobody has looked at the dates yet, which are what this probe is for.
    const verdict = failure ?? verdictOf(facts.slice(0, 1).flatMap((leaf) => datesProblem(leaf) ?? []))
    if (verdict) throw verdict
    await closePolitely(socket)
  } finally {
    socket.destroy()
  }
}

async function checkFiles(options: Options, path: string, probe: Context): Promise<void> {
  const { found, files, served, problems, ended } = await probe.phase('read', () => readFiles(options, path, probe))
  exportCertificates(probe, found)
  exportFiles(probe, files)
  const { stale, unreachable } = await compareServed(options.served ?? [], found, served, probe)
  const verdict = verdictOf([...problems, ...stale])
  if (verdict) throw verdict
  if (ended) throw ended
  // In its phase once more, which gives it its layer.
  if (unreachable) await probe.phase(unreachable.phase, () => { throw unreachable.error })
}

async function readFiles(options: Options, path: string, probe: Context): Promise<Collected> {
  const pkcs12 = pkcs12Reader(probe)
  try {
    const files = await openFiles(path, options.root, probe)
    try {
      return await collect({ files, pkcs12, password: options.password?.reveal() }, path, options.preset)
    } finally {
      files.close()
    }
  } catch (error) {
    throw error instanceof FileProblem ? new ProbeFailure(error.code, error.message) : error
  } finally {
    pkcs12.close()
  }
}
