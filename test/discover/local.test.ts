import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readEntry } from '../../src/config/jobs.ts'
import { discoverLocal, hasKubeadmFiles, localCertificates, localListeners, localMounts, type Listener } from '../../src/discover/local.ts'
import { mount } from '../../src/probes/mount.ts'
import { mysql } from '../../src/probes/mysql.ts'

const listener = (port: number, process?: string, host = '127.0.0.1'): Listener => ({ host, port, process })
const found = (listeners: Listener[], ownUrl?: string) => discoverLocal({ listeners, mounts: [], ownUrl }).slice(1)

describe('what is probed without a config', () => {
  it('is read-only, at 60 s, one question to each name server, and ourselves', () => {
    const entries = discoverLocal({ listeners: [listener(6379, 'redis-server'), listener(11_211, 'memcached'), listener(80, 'nginx')], mounts: [], ownUrl: 'http://127.0.0.1:9797/-/healthy' })
    expect(entries.map(({ name, targets }) => [name, targets])).toEqual([
      ['resolv-conf', undefined], ['local-redis', ['127.0.0.1:6379']], ['local-memcached', ['127.0.0.1:11211']],
      ['local-http', ['http://127.0.0.1:80/']], ['curlew', ['http://127.0.0.1:9797/-/healthy']],
    ])
    for (const entry of entries) expect(entry).toMatchObject({ every: '60s', mode: 'read-only' })
    expect(entries[0]).toMatchObject({ query: 'localhost.', record: 'A', rcode: 'any' })
  })

  it.each([
    ['a Redis on a port of its own', listener(7000, 'redis-server'), 'local-redis'],
    ['a well-known port of another user', listener(6379), 'local-redis'],
    ['a well-known port behind a forwarder', listener(8080, 'docker-proxy'), 'local-http'],
    ['a Sentinel that runs as redis-server', listener(26_379, 'redis-server'), undefined],
    ['the gossip of an Alertmanager', listener(9094, 'alertmanager'), undefined],
    ['a web server where TLS is spoken', listener(443, 'nginx'), undefined],
    ['a web server on a port of its own', listener(3000, 'nginx'), 'local-http'],
    ['a web server that forwards a MySQL', listener(3306, 'nginx'), 'local-mysql'],
    ['a proxy that may forward anything', listener(5000, 'haproxy'), undefined],
    ['a proxy of web pages', listener(80, 'haproxy'), 'local-http'],
    ['an unknown port', listener(4444), undefined],
    ['an unknown server', listener(4444, 'java'), undefined],
    ['a MySQL', listener(3306, 'mysqld'), 'local-mysql'],
    ['a MySQL of another user', listener(3306), 'local-mysql'],
    ['a MariaDB where a web server would be', listener(8080, 'mariadbd'), 'local-mysql'],
    ['the X protocol of a MySQL', listener(33_060, 'mysqld'), undefined],
    ['a PostgreSQL where a web server would be', listener(8080, 'postgres'), undefined],
  ])('%s', (_what, one, name) => {
    expect(found([one]).map((entry) => entry.name)).toEqual(name === undefined ? [] : [name])
  })

  it('does not take the bus of a Redis Cluster for a server', () => {
    const nodes = [listener(6379, 'redis-server'), listener(7001, 'redis-server'), listener(16_379, 'redis-server'), listener(17_001, 'redis-server')]
    expect(found(nodes)).toMatchObject([{ name: 'local-redis', targets: ['127.0.0.1:6379', '127.0.0.1:7001'] }])
  })

  it('lists a MySQL without contacting it: its account is not known', () => {
    const [entry] = found([listener(3306, 'mysqld')])
    expect(entry).toEqual({ name: 'local-mysql', type: 'mysql', targets: ['127.0.0.1:3306'], every: '60s', mode: 'read-only', login: false })
    expect(readEntry(mysql, entry!, true).issues).toEqual([])
  })

  it('looks at storage of the network, but not at any number of mounts, and writes to none', () => {
    const mounts = Array.from({ length: 60 }, (_, index) => `/mnt/${index}`)
    const entry = discoverLocal({ listeners: [], mounts, ownUrl: undefined }).find(({ name }) => name === 'local-mounts')
    expect(entry).toEqual({ name: 'local-mounts', type: 'mount', targets: mounts.slice(0, 50), every: '60s', mode: 'read-only' })
    expect(readEntry(mount, entry!, true)).toMatchObject({ issues: [], jobs: { length: 50 } })
    expect(found([])).toEqual([])
  })

  it('does not probe itself twice', () => {
    expect(found([listener(8080, 'node')], 'http://127.0.0.1:8080/-/healthy').map(({ name }) => name)).toEqual(['curlew'])
  })

  it('writes IPv6 addresses in brackets', () => {
    expect(found([listener(6379, 'redis-server', '::1')])[0]!['targets']).toEqual(['[::1]:6379'])
  })
})

describe('/proc', () => {
  it('shows a listener of this very process', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    expect(localListeners()).toContainEqual({ host: '127.0.0.1', port, process: expect.any(String) })
    server.close()
  })

  let proc: string
  beforeAll(() => {
    proc = mkdtempSync(join(tmpdir(), 'curlew-proc-'))
    mkdirSync(join(proc, 'net'))
    mkdirSync(join(proc, '42', 'fd'), { recursive: true })
    mkdirSync(join(proc, 'self'))
    writeFileSync(join(proc, 'self', 'mountinfo'), '22 1 254:0 / / rw - ext4 /dev/vda rw\n36 22 0:40 / /my\\040data rw - ceph mon:/ rw\n')
    writeFileSync(join(proc, '42', 'comm'), 'redis-server\n')
    symlinkSync('socket:[1001]', join(proc, '42', 'fd', '5'))
    mkdirSync(join(proc, '43', 'fd'), { recursive: true })
    writeFileSync(join(proc, '43', 'comm'), 'redis-server\n')
    writeFileSync(join(proc, '43', 'cmdline'), 'redis-server *:27000 [sentinel]\0\0')
    symlinkSync('socket:[1008]', join(proc, '43', 'fd', '6'))
    const head = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n'
    const row = (local: string, state: string, inode: number) => `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1\n`
    writeFileSync(join(proc, 'net', 'tcp'), head + row('0100007F:18EB', '0A', 1001) + row('00000000:2BCB', '0A', 1002) + row('0500000A:0050', '0A', 1003) + row('0100007F:1F90', '01', 1004) + row('0300007F:1F91', '0A', 1006) + row('0100007F:6978', '0A', 1008))
    writeFileSync(join(proc, 'net', 'tcp6'), head + row('00000000000000000000000000000000:2BCB', '0A', 1005) + row('00000000000000000000000001000000:1F92', '0A', 1007))
  })
  afterAll(() => { rmSync(proc, { recursive: true }) })

  it('is read for listeners that loopback reaches, each once, with the name of their process', () => {
    expect(localListeners(proc)).toEqual([
      { host: '127.0.0.1', port: 6379, process: 'redis-server' },
      { host: '127.0.0.3', port: 8081, process: undefined },
      { host: '::1', port: 8082, process: undefined },
      { host: '127.0.0.1', port: 11_211, process: undefined },
      { host: '127.0.0.1', port: 27_000, process: 'redis-sentinel' },
    ])
  })

  it('is read for mounts of the network', () => { expect(localMounts(proc)).toEqual(['/my data']) })

  it('may be missing', () => { expect([localListeners('/nonexistent'), localMounts('/nonexistent')]).toEqual([[], []]) })
})

describe('certificates of kubeadm', () => {
  let directory: string
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'curlew-kubernetes-'))
    mkdirSync(join(directory, 'pki'))
    writeFileSync(join(directory, 'pki', 'ca.crt'), 'x')
  })
  afterAll(() => { rmSync(directory, { recursive: true }) })

  it('are probed rarely, those that may be read', () => {
    const found = () => discoverLocal({ listeners: [], mounts: [], certificates: localCertificates(directory), ownUrl: undefined }).slice(1)
    expect(found()).toEqual([{ name: 'kubeadm', type: 'cert', every: '10m', mode: 'read-only', targets: [join(directory, 'pki')] }])
    writeFileSync(join(directory, 'kubelet.conf'), 'x')
    expect(found()).toMatchObject([{ preset: 'kubeadm', targets: [directory] }])
  })

  it('are not there on other machines', () => { expect(localCertificates('/nonexistent')).toBeUndefined() })

  it.each<[string, readonly string[], boolean]>([
    ['nothing', [], false], ['what others keep there', ['etc/kubernetes/manifests/keepalived.yaml', 'etc/kubernetes/kubeconfig.yaml', 'var/lib/kubelet/pki/README'], false], ['no directory', ['etc/kubernetes'], false],
    ['a worker', ['var/lib/kubelet/pki/kubelet.crt'], true], ['a kubelet that rotates', ['var/lib/kubelet/pki/kubelet-client-current.pem'], true], ['a control plane', ['etc/kubernetes/manifests/kube-apiserver.yaml'], true], ['kubeadm', ['etc/kubernetes/pki/ca.crt'], true],
  ])('of kubeadm or the kubelet: %s', (_what, files, there) => {
    const root = mkdtempSync(join(tmpdir(), 'curlew-'))
    try {
      for (const file of files) {
        mkdirSync(join(root, file, '..'), { recursive: true })
        writeFileSync(join(root, file), '')
      }
      expect(hasKubeadmFiles(root)).toBe(there)
    } finally {
      rmSync(root, { recursive: true })
    }
  })
})
