import { generateKeyPairSync } from 'node:crypto'
import { request } from 'node:https'
import { isUnpacked, SID_ETCD, suiteCommand } from '../../scripts/debian-suite.ts'
import { createOwner } from './owner.ts'
import { freePort, startProcess } from './process.ts'
import { issue } from './x509.ts'

export interface RealKubeApi {
  /** Of one who may do everything. */
  readonly kubeconfig: string
  readonly bookmarkSeconds: number
  /** Nothing in a cluster that lives on. */
  compact(): Promise<void>
  readonly aged?: (token: string) => string
  stop(): Promise<void>
}

/**
 * The API server that is real: the cluster of KUBECONFIG, else the binary of KUBE_APISERVER on an etcd of its own, both on
 * loopback, with certificates of their own. Throws a sentence when there is neither.
 */
export async function realKubeApi(): Promise<RealKubeApi> {
  const { KUBECONFIG: kubeconfig, KUBE_APISERVER: program } = process.env
  if (kubeconfig) return { kubeconfig, bookmarkSeconds: 5, compact: () => Promise.resolve(), aged, stop: () => Promise.resolve() }
  if (!program) throw new Error('there is no API server: set KUBECONFIG to a cluster\'s kubeconfig, or KUBE_APISERVER to a kube-apiserver binary')
  if (!isUnpacked(SID_ETCD)) throw new Error('etcd is not unpacked: npm run test:kubernetes does that')
  return await startKubeApiserver(program)
}

async function startKubeApiserver(program: string): Promise<RealKubeApi> {
  const owner = createOwner()
  try {
    const { path, write } = owner.place()
    const [etcd, peers, api] = [await freePort(), await freePort(), await freePort()]
    const client = `http://127.0.0.1:${etcd}`
    await owner.started(startProcess(suiteCommand(SID_ETCD, 'etcd'), [
      '--data-dir', `${path}/etcd`, '--listen-client-urls', client, '--advertise-client-urls', client,
      '--listen-peer-urls', `http://127.0.0.1:${peers}`, '--unsafe-no-fsync', '--log-level', 'error',
    ], { ready: async () => (await fetch(`${client}/health`).catch(() => undefined))?.ok === true, withinMs: 20_000 }))

    const span = { from: '20200101000000Z', to: '20991231235959Z' }
    const ca = issue({ subject: '/CN=curlew-test', authority: true, ...span })
    const serving = issue({ subject: '/CN=kube-apiserver', names: ['localhost', 'kubernetes', '127.0.0.1'], ...span }, ca)
    const admin = issue({ subject: '/O=system:masters/CN=admin', forClient: true, ...span }, ca)
    const signing = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    const key = write('sa.key', String(signing.export({ type: 'pkcs1', format: 'pem' })))
    await owner.started(startProcess(program, [
      `--etcd-servers=${client}`, '--bind-address=127.0.0.1', `--secure-port=${api}`, '--endpoint-reconciler-type=none',
      `--tls-cert-file=${write('serving.crt', serving.cert)}`, `--tls-private-key-file=${write('serving.key', serving.key)}`, `--client-ca-file=${write('ca.crt', ca.cert)}`,
      '--service-account-issuer=https://kubernetes.default.svc', `--service-account-key-file=${key}`, `--service-account-signing-key-file=${key}`,
      '--service-cluster-ip-range=10.96.0.0/16', '--authorization-mode=RBAC',
      // No controller makes the account that every pod is given.
      '--disable-admission-plugins=ServiceAccount',
    ], { ready: async () => await isReady(api, ca.cert, admin), withinMs: 60_000 }))

    const base64 = (text: string) => Buffer.from(text).toString('base64')
    const kubeconfig = write('kubeconfig', {
      apiVersion: 'v1', kind: 'Config', 'current-context': 'test',
      clusters: [{ name: 'test', cluster: { server: `https://127.0.0.1:${api}`, 'certificate-authority-data': base64(ca.cert) } }],
      users: [{ name: 'admin', user: { 'client-certificate-data': base64(admin.cert), 'client-key-data': base64(admin.key) } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
    })
    return { kubeconfig, bookmarkSeconds: 5, compact: () => compact(client), stop: () => owner.end() }
  } catch (error) {
    await owner.end()
    throw error
  }
}

/** A `continue` is base64 of JSON (apiserver's storage/continue.go): the same place in the list of version 1, which whatever is older than ten minutes has compacted. */
function aged(token: string): string {
  const place = JSON.parse(Buffer.from(token, 'base64url').toString()) as object
  return Buffer.from(JSON.stringify({ ...place, rv: 1 })).toString('base64url')
}

/** By etcd's JSON gateway: what is older than now is forgotten. */
async function compact(etcd: string): Promise<void> {
  const post = async (path: string, body: object) => {
    const answer = await fetch(`${etcd}${path}`, { method: 'POST', body: JSON.stringify(body) })
    if (!answer.ok) throw new Error(`etcd answered ${answer.status} to ${path}: ${await answer.text()}`)
    return await answer.json() as { header: { revision: string } }
  }
  const { header: { revision } } = await post('/v3/maintenance/status', {})
  await post('/v3/kv/compaction', { revision, physical: true })
}

async function isReady(port: number, ca: string, { cert, key }: { readonly cert: string, readonly key: string }): Promise<boolean> {
  return await new Promise((resolve) => {
    const asked = request({ host: '127.0.0.1', port, path: '/readyz', ca, cert, key, timeout: 2_000, agent: false }, (answer) => {
      answer.resume()
      resolve(answer.statusCode === 200)
    })
    asked.on('error', () => resolve(false)).on('timeout', () => asked.destroy()).end()
  })
}
