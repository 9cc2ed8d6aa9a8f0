import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { createServer } from 'node:tls'
import { afterAll, describe, expect, it } from 'vitest'
import { cert } from '../../src/probes/cert.ts'
import { temporaryDirectory } from '../support/process.ts'
import { issue, type Issued } from '../support/x509.ts'
import { gaugeOf, probeOnce } from './contract.ts'

const DATES = { from: '20200101000000Z', to: '20991231235959Z' }
const authority = issue({ subject: '/CN=kubernetes', authority: true, ...DATES })
const made = (name: string, by: Issued | undefined = authority) => issue({ subject: `/CN=${name}`, names: ['localhost'], ...DATES }, by)
const [apiserver, etcd, kubelet, old] = [made('kube-apiserver'), made('node-1'), made('system:node:node-1'), made('kube-apiserver')]
/** As a component makes it in memory when it is not told of a file (client-go, util/cert). */
const inMemory = made('localhost@1700000000', issue({ subject: '/CN=localhost-ca@1700000000', authority: true, ...DATES }))
const configured = made('kube-scheduler')
/** What the kubelet had before, and what another authority says of it. */
const before = issue({ subject: '/CN=system:node:node-1', names: ['localhost'], from: '20190101000000Z', to: DATES.to }, authority)
const foreign = issue({ subject: '/CN=system:node:node-1', names: ['localhost'], from: '20190101000000Z', to: DATES.to }, issue({ subject: '/CN=mine', authority: true, ...DATES }))
const CONFIGURATION = { 'var/lib/kubelet/config.yaml': 'kind: KubeletConfiguration\n' }

const closers: (() => Promise<void>)[] = []
afterAll(async () => { for (const close of closers) await close() })

let hosts = 0
/** Has servers listen on the ports of Kubernetes, at a loopback address of this test alone. */
async function node(ports: Readonly<Record<number, Issued | Server>>): Promise<{ served: string[], host: string }> {
  const host = `127.${100 + (process.pid % 100)}.${(process.pid >> 8) % 200}.${++hosts}`
  for (const [port, shows] of Object.entries(ports)) {
    const server = 'cert' in shows ? createServer({ cert: shows.cert, key: shows.key }) : shows
    const sockets = new Set<Socket>()
    server.on('connection', (socket: Socket) => {
      sockets.add(socket)
      socket.on('error', () => {})
    })
    server.on('tlsClientError', () => {})
    await new Promise<void>((resolve) => server.listen(Number(port), host, resolve))
    closers.push(() => new Promise((resolve) => {
      for (const socket of sockets) socket.destroy()
      server.close(() => resolve())
    }))
  }
  return { host, served: [6443, 2379, 10250, 10257, 10259].map((port) => `${host}:${port}`) }
}

const manifest = (...flags: string[]) => `apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - command:\n    - server\n${flags.map((flag) => `    - --${flag}\n`).join('')}`
const CONTROL_PLANE: Readonly<Record<string, string>> = {
  'etc/kubernetes/manifests/kube-apiserver.yaml': manifest('secure-port=6443', 'tls-cert-file=/etc/kubernetes/pki/apiserver.crt', 'tls-private-key-file=/etc/kubernetes/pki/apiserver.key'),
  'etc/kubernetes/manifests/etcd.yaml': manifest('cert-file=/etc/kubernetes/pki/etcd/server.crt', 'peer-cert-file=/etc/kubernetes/pki/etcd/peer.crt'),
  'etc/kubernetes/manifests/kube-controller-manager.yaml': manifest('bind-address=127.0.0.1'),
  'etc/kubernetes/manifests/kube-scheduler.yaml': manifest('bind-address=127.0.0.1'),
  ...Object.fromEntries(['ca', 'front-proxy-ca', 'etcd/ca'].map((name) => [`etc/kubernetes/pki/${name}.crt`, authority.cert])),
  ...Object.fromEntries(['apiserver-kubelet-client', 'front-proxy-client', 'etcd/peer', 'etcd/healthcheck-client'].map((name) => [`etc/kubernetes/pki/${name}.crt`, made(name).cert])),
  'etc/kubernetes/pki/apiserver.crt': apiserver.cert,
  'etc/kubernetes/pki/etcd/server.crt': etcd.cert,
  ...Object.fromEntries(['controller-manager', 'scheduler'].map((name) => [`etc/kubernetes/${name}.conf`, `users: [{ name: a, user: { client-certificate-data: ${Buffer.from(made(name).cert).toString('base64')} } }]\n`])),
}
const WORKER: Readonly<Record<string, string>> = {
  'etc/kubernetes/pki/ca.crt': authority.cert,
  'etc/kubernetes/kubelet.conf': 'users: [{ name: a, user: { client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem } }]\n',
  'var/lib/kubelet/pki/kubelet-client-1.pem': made('system:node:node-1').cert,
  'var/lib/kubelet/pki/kubelet-client-current.pem': '->kubelet-client-1.pem',
  'var/lib/kubelet/pki/kubelet.crt': kubelet.cert,
}

function probe(files: Readonly<Record<string, string>>, served: readonly string[], timeout = '4s') {
  const root = temporaryDirectory().path
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    if (content.startsWith('->')) symlinkSync(content.slice(2), join(root, name))
    else writeFileSync(join(root, name), content)
  }
  return probeOnce(cert, { target: '/etc/kubernetes', preset: 'kubeadm', root, served, timeout })
}

/** What was said of each port. */
const matches = (result: Awaited<ReturnType<typeof probe>>) => Object.fromEntries(result.gauges.filter(({ name }) => name === 'probe_ssl_served_matches').map(({ labels, value }) => [labels?.['served']?.split(':')[1], value])) as Record<string, number>

describe('what the servers of a node show is compared with the file of each', () => {
  it('on a control plane; what is made in memory is not called stale', async () => {
    const { served } = await node({ 6443: apiserver, 2379: etcd, 10250: kubelet, 10257: inMemory, 10259: inMemory })
    const result = await probe({ ...CONTROL_PLANE, ...WORKER }, served)
    expect(result).toMatchObject({ status: 'ok' })
    expect(matches(result)).toEqual({ 6443: 1, 2379: 1, 10250: 1 })
  })

  it.each<[string, Record<number, Issued>, Record<string, string>, string]>([
    ['renewed on disk, the old one is served', { 6443: old }, {}, 'shows CN=kube-apiserver'],
    ['another one of the files is the wrong one', { 6443: etcd }, {}, 'in /etc/kubernetes/pki/apiserver.crt CN=kube-apiserver has'],
    ['a scheduler that is told of a file', { 10259: inMemory }, { 'etc/kubernetes/manifests/kube-scheduler.yaml': manifest('tls-cert-file=/etc/kubernetes/pki/scheduler.crt'), 'etc/kubernetes/pki/scheduler.crt': configured.cert }, 'shows CN=localhost@1700000000'],
    ['a kubelet that is told of a file', { 10250: kubelet }, { 'var/lib/kubelet/config.yaml': 'tlsCertFile: /etc/kubernetes/pki/mine.crt\n', 'etc/kubernetes/pki/mine.crt': configured.cert }, 'in /etc/kubernetes/pki/mine.crt CN=kube-scheduler has'],
    ['a kubelet that rotates shows its first one', { 10250: kubelet }, { ...CONFIGURATION, 'var/lib/kubelet/pki/kubelet-server-1.pem': configured.cert, 'var/lib/kubelet/pki/kubelet-server-current.pem': '->kubelet-server-1.pem' }, 'in /var/lib/kubelet/pki/kubelet-server-current.pem'],
    ['a kubelet whose configuration is not seen shows what was renewed', { 10250: before }, {}, 'in /var/lib/kubelet/pki/kubelet.crt it has'],
    ['a kubelet of which the configuration says no other file', { 10250: foreign }, CONFIGURATION, 'in /var/lib/kubelet/pki/kubelet.crt'],
  ])('%s', async (_what, ports, more, message) => {
    const { served } = await node(ports)
    const result = await probe({ ...CONTROL_PLANE, ...WORKER, ...more }, served)
    expect(result).toMatchObject({ status: 'failed', failure: { layer: 'assert', reason: 'stale', code: 'cert_not_served', message: expect.stringContaining(message) as unknown } })
    expect(matches(result)).toEqual({ [Object.keys(ports)[0]!]: 0 })
  })

  it('a file that a server is told of has its expiry exported, and is what is compared', async () => {
    const { served } = await node({ 10257: configured, 10250: made('kubelet-server') })
    const result = await probe({ ...CONTROL_PLANE, 'etc/kubernetes/manifests/kube-controller-manager.yaml': manifest('tls-cert-file=/etc/kubernetes/pki/cm.crt'), 'etc/kubernetes/pki/cm.crt': configured.cert }, served)
    expect(result).toMatchObject({ status: 'ok' })
    // Without a file of the kubelet's there is nothing to compare.
    expect(matches(result)).toEqual({ 10257: 1 })
    expect(gaugeOf(result, 'probe_ssl_cert_not_after', { file: '/etc/kubernetes/pki/cm.crt' })).toBeGreaterThan(0)
  })

  it('a file that is only in the container is no fault', async () => {
    const { served } = await node({ 6443: old })
    const result = await probe({ ...CONTROL_PLANE, 'etc/kubernetes/manifests/kube-apiserver.yaml': manifest('tls-cert-file=/certs/tls.crt') }, served)
    expect(result).toMatchObject({ status: 'ok' })
    expect(matches(result)).toEqual({})
  })

  it('a kubelet that shows a file which is not mounted is not held to another', async () => {
    const { served } = await node({ 10250: configured })
    const result = await probe({ ...WORKER, 'var/lib/kubelet/config.yaml': 'tlsCertFile: /etc/ssl/kubelet.crt\n' }, served)
    expect(result).toMatchObject({ status: 'ok' })
    expect(matches(result)).toEqual({})
  })

  it.each<[string, Issued, Record<string, string>]>([
    ['another name', configured, {}],
    ['another authority', foreign, {}],
    ['a later one', kubelet, { 'var/lib/kubelet/pki/kubelet.crt': before.cert }],
    ['another name, beside an empty configuration', configured, { 'var/lib/kubelet/config.yaml': '' }],
  ])('a kubelet whose configuration is not seen may show another file: %s', async (_what, shows, more) => {
    const { served } = await node({ 10250: shows })
    const result = await probe({ ...WORKER, ...more }, served)
    expect(result).toMatchObject({ status: 'ok' })
    expect(matches(result)).toEqual({})
  })

  it('on a worker only the kubelet is asked, whatever listens on the other ports', async () => {
    const { served } = await node({ 6443: old, 10250: kubelet })
    const result = await probe(WORKER, served)
    expect(result).toMatchObject({ status: 'ok' })
    expect(matches(result)).toEqual({ 10250: 1 })
  })

  it('nobody who does not answer is accused, and a silent one hides no other', async () => {
    const silent = createTcpServer((socket) => { socket.resume() })
    const { served } = await node({ 6443: silent, 2379: old })
    const result = await probe(CONTROL_PLANE, served, '1500ms')
    expect(result).toMatchObject({ status: 'failed', failure: { code: 'cert_not_served' } })
    expect(matches(result)).toEqual({ 2379: 0 })
    // It accepts and says nothing: that is a fact about it.
    expect(await probe(CONTROL_PLANE, served.slice(0, 1), '1s')).toMatchObject({ status: 'failed', failure: { layer: 'tls', reason: 'timeout' } })
    const { served: nobody } = await node({})
    expect(await probe({ ...CONTROL_PLANE, ...WORKER }, nobody)).toMatchObject({ status: 'ok' })
  })
})
