import { writeFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Diagnosis } from '../../src/core/diagnosis.ts'
import { makeCertificates } from '../support/certificates.ts'
import { runCurlew, serveCurlew } from '../support/curlew.ts'
import { ADDRESSES, createNetwork, type Machine, type Network } from '../support/netns.ts'
import { tcpServer } from '../support/tcp.ts'
import { eventually, freePort, startProcess, temporaryDirectory, type Running } from '../support/process.ts'

const B = ADDRESSES.b.ip4
/** An address of b's network that nobody has. */
const NOBODY = '10.9.3.77'
const certificates = makeCertificates()
const { path: dir } = temporaryDirectory()
const running: Running[] = []
let net: Network
let plain: Running

/** Starts a server on a machine and waits until it listens on the port. */
async function on(machine: Machine, port: number, command: string, ...args: readonly string[]): Promise<Running> {
  const [ip = '', ...rest] = machine.enter()
  const server = await startProcess(ip, [...rest, command, ...args], { ready: () => machine.run('ss', '-Hltn', `sport = :${port}`) !== '' })
  running.push(server)
  return server
}

beforeAll(async () => {
  net = createNetwork()
  const redis = ['--bind', '0.0.0.0', '::', '--protected-mode', 'no', '--save', '', '--dir', dir]
  const { certFile, keyFile } = certificates.expired
  ;[plain] = await Promise.all([
    on(net.b, 6379, 'redis-server', ...redis, '--port', '6379'),
    on(net.b, 6380, 'redis-server', ...redis, '--port', '6380', '--requirepass', 'of-the-test'),
    on(net.b, 6381, 'redis-server', ...redis, '--port', '0', '--tls-port', '6381', '--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-auth-clients', 'no'),
    on(net.b, 53, 'dnsmasq', '-C', '/dev/null', '-k', '-R', '-h', '-u', '', `--listen-address=${B}`, '--bind-interfaces', '--local=/test/', `--address=/db-1.test/${B}`, `--host-record=db-2.test,${B}`, `--host-record=db-6.test,${B},${ADDRESSES.b.ip6}`, `--host-record=db-2.test,${NOBODY}`, `--pid-file=${dir}/b.pid`),
    on(net.r2, 53, 'dnsmasq', '-C', '/dev/null', '-k', '-R', '-h', '-u', '', `--listen-address=${ADDRESSES.r2.ip4}`, '--bind-interfaces', '--local=/test/', `--pid-file=${dir}/r2.pid`),
    on(net.r1, 53, 'dnsmasq', '-C', '/dev/null', '-k', '-R', '-h', '-u', '', `--listen-address=${ADDRESSES.r1.ip4}`, '--bind-interfaces', `--pid-file=${dir}/r1.pid`),
  ])
})
afterAll(async () => {
  await Promise.all(running.map((server) => server.stop('SIGKILL')))
  net.remove()
})
afterEach(() => {
  for (const machine of [net.a, net.r1, net.r2, net.b]) machine.clearNft()
})

/** `curlew diagnose` on a, as a person reads it and as JSON. */
async function diagnose(url: string): Promise<Diagnosis & { readonly code: number | null, readonly sentence: { readonly en: string, readonly zh: string } }> {
  const { stdout, stderr, code } = await net.a.curlew(['diagnose', url, '--timeout', '1s', '-o', 'json'])
  const [diagnosis] = (JSON.parse(stdout || '{}') as { diagnoses?: never[] }).diagnoses ?? [] // safe: what is wrong with it fails below
  if (!diagnosis) throw new Error(`no diagnosis: ${stderr}`)
  return { ...(diagnosis as object), code } as never // safe: as above
}

interface Looked { readonly probe: { readonly history: { readonly failures: readonly { readonly evidence?: object }[] } } }
const hasEvidence = ({ probe }: Looked) => probe.history.failures.some(({ evidence }) => evidence)
const statuses = ({ steps }: Diagnosis) => steps.map(({ step, status }) => `${step} ${status}`)

describe('curlew diagnose', () => {
  it('finds nothing where all is well', async () => {
    net.a.nameServers(B)
    const found = await diagnose('redis://db-1.test')
    expect(found).toMatchObject({ code: 0, status: 'ok', verdict: 'well', sentence: { en: 'db-1.test is well: every layer answers.' } })
    expect(statuses(found)).toEqual(['resolve ok', 'ping ok', 'connect ok', 'operation ok'])
  })

  it('tells a port that drops packets', async () => {
    net.b.nft('input', 'tcp dport 6379 drop')
    const found = await diagnose(`redis://${B}`)
    expect(found).toMatchObject({ code: 1, verdict: 'port_dropped', broken: 'connect', failure: { layer: 'connect', reason: 'timeout' } })
    expect(found.sentence.en).toBe(`${B} answers ping, but port 6379 drops packets: look for a firewall rule or a security group.`)
    expect(statuses(found)).toEqual(['resolve ok', 'ping ok', 'route ok', 'connect failed', 'operation failed'])
  })

  it('tells a port where nothing listens', async () => {
    expect(await diagnose(`tcp://${B}:4444`)).toMatchObject({ verdict: 'port_closed', broken: 'connect' })
  })

  it('tells a port that a firewall on the way rejects', async () => {
    net.r1.nft('forward', 'tcp dport 6379 reject with icmp type admin-prohibited')
    const found = await diagnose(`redis://${B}`)
    expect(found).toMatchObject({ verdict: 'port_rejected', broken: 'connect', failure: { layer: 'network', reason: 'unreachable' } })
    expect(found.sentence.en).toContain('answers ping, but packets to port 6379 are turned back')
  })

  it('does not say that an open port is closed where a redirect leads to a closed one', async () => {
    const page = `require('node:http').createServer((_, answer) => answer.writeHead(302, { location: 'http://${B}:8081/' }).end()).listen(8080)`
    await on(net.b, 8080, process.execPath, '-e', page)
    const found = await diagnose(`http://${B}:8080/`)
    expect(found).toMatchObject({ verdict: 'code', broken: 'operation', failure: { layer: 'connect', reason: 'refused' } })
  })

  it('speaks of the proxy where it does not get beyond it', async () => {
    const web = `${dir}/proxy.yaml`
    writeFileSync(web, JSON.stringify({ probes: [{ name: 'web', type: 'http', target: 'http://www.example.test/', proxy_url: `http://${B}:3128` }] }))
    const { stdout } = await net.a.curlew(['diagnose', 'web', '-c', web])
    expect(stdout).toContain(`${B} is up, but nothing listens on port 3128`)
    expect(stdout).not.toContain('www.example.test is up')
  })

  it('tells several ports of one address apart', async () => {
    const found = await diagnose(`redis+sentinel://${B}:6379,${B}:26379/mymaster`)
    expect(found.facts).toMatchObject({ alive: [`${B}:6379`], dead: [`${B}:26379`] })
    const closed = await diagnose(`redis+sentinel://${B}:26379,${NOBODY}:26379/mymaster`)
    expect(closed.sentence.en).toContain(`${B}:26379,${NOBODY}:26379/mymaster`)
  })

  it('tells a host that drops everything', async () => {
    net.b.nft('input', 'drop')
    const found = await diagnose(`redis://${B}`)
    expect(found).toMatchObject({ verdict: 'route_ends', broken: 'route' })
    expect(found.sentence.en).toContain(`nothing answers behind ${ADDRESSES.r2.ip4} (hop 2)`)
  })

  it('tells a host that is not there', async () => {
    const found = await diagnose(`redis://${NOBODY}`)
    expect(found).toMatchObject({ verdict: 'route_ends', broken: 'route' })
    expect(found.sentence.en).toContain(`${ADDRESSES.r2.ip4}`)
  })

  it('tells a route that is missing', async () => {
    net.r1.run('ip', 'route', 'replace', 'unreachable', '10.9.3.0/24')
    try {
      const found = await diagnose(`redis://${B}`)
      expect(found).toMatchObject({ verdict: 'route_ends', broken: 'route' })
      expect(found.sentence.en).toMatch(/10\.9\.1\.2( \(hop 1\))? says that it cannot reach it\./)
    } finally {
      net.r1.run('ip', 'route', 'replace', '10.9.3.0/24', 'via', ADDRESSES.r2.ip4)
    }
  })

  it('tells a name that no server knows', async () => {
    net.a.nameServers(B, ADDRESSES.r2.ip4)
    expect(await diagnose('redis://db-9.test')).toMatchObject({ verdict: 'name_missing', broken: 'resolve', facts: { denying: [B, ADDRESSES.r2.ip4] } })
  })

  it('tells name servers that disagree', async () => {
    net.a.nameServers(ADDRESSES.r2.ip4, B)
    const found = await diagnose('redis://db-1.test')
    expect(found).toMatchObject({ verdict: 'name_disputed', broken: 'resolve', facts: { denying: [ADDRESSES.r2.ip4], knowing: [B] } })
    expect(statuses(found)).toContain('resolve partly')
  })

  it('tells name servers that are silent', async () => {
    net.a.nameServers(B)
    net.b.nft('input', 'udp dport 53 drop')
    expect(await diagnose('redis://db-1.test')).toMatchObject({ verdict: 'servers_silent', broken: 'resolve', facts: { silent: [B] } })
  })

  it('tells that one of two addresses is dead, though the probe works', async () => {
    net.a.nameServers(B)
    const found = await diagnose('redis://db-2.test')
    expect(found).toMatchObject({ code: 0, status: 'ok', verdict: 'well_but', facts: { alive: [B], dead: [NOBODY] } })
    expect(await diagnose('redis://db-2.test?addresses=all')).toMatchObject({ code: 1, verdict: 'some_addresses_dead', broken: 'connect' })
  })

  it('does not accuse an IPv6 address where this machine has no route for it', async () => {
    net.a.nameServers(B)
    net.a.run('ip', '-6', 'route', 'del', 'default')
    try {
      const found = await diagnose('redis://db-6.test')
      expect(found).toMatchObject({ code: 0, verdict: 'well', facts: { alive: [B], dead: [] } })
      expect(found.steps.find(({ step }) => step === 'connect')).toMatchObject({ status: 'ok', findings: [{}, { address: ADDRESSES.b.ip6, failure: { code: 'prober_no_network', message: `this machine has no route to ${ADDRESSES.b.ip6}` } }] })
    } finally {
      net.a.run('ip', '-6', 'route', 'add', 'default', 'via', ADDRESSES.r1.ip6)
    }
  })

  it('tells that a name server refuses to answer, though the probe works', async () => {
    net.a.nameServers(B, ADDRESSES.r1.ip4)
    const found = await diagnose('redis://db-1.test')
    expect(found).toMatchObject({ code: 0, verdict: 'well_but', facts: { erring: [ADDRESSES.r1.ip4] } })
    expect(found.sentence.en).toBe(`db-1.test works, but the name server ${ADDRESSES.r1.ip4} answers with an error: clients that come to it wait or fail.`)
  })

  it('does not call a name server silent for a packet that is lost', async () => {
    net.a.nameServers(B)
    net.b.nft('input', 'udp dport 53 limit rate 1/hour burst 2 packets drop')
    expect(await diagnose('redis://db-1.test')).toMatchObject({ code: 0, verdict: 'well', facts: { knowing: [B], silent: [] } })
  })

  it('names the address that a job of its own is about', async () => {
    net.a.nameServers(B)
    const { stdout } = await net.a.curlew(['diagnose', 'tcp://db-6.test:4444?addresses=each', '--timeout', '1s'])
    expect(stdout).toContain(`db-6.test (${B}) is up, but nothing listens on port 4444`)
    expect(stdout).toContain(`db-6.test (${ADDRESSES.b.ip6}) is up, but nothing listens on port 4444`)
  })

  it('tells a name server that is not there from one that is slow', async () => {
    expect(await diagnose(`dns://${NOBODY}/db-1.test`)).toMatchObject({ verdict: 'route_ends', broken: 'route', failure: { layer: 'request', reason: 'timeout' } })
    net.b.nft('input', 'udp dport 53 drop')
    const found = await diagnose(`dns://${B}/db-1.test`)
    expect(found).toMatchObject({ verdict: 'code', broken: 'operation' })
    expect(found.sentence.en).not.toContain('connection works')
  })

  it('tells an expired certificate, and shows it', async () => {
    const found = await diagnose(`rediss://${B}:6381?ca_file=${certificates.caFile}&server_name=localhost`)
    expect(found).toMatchObject({ verdict: 'code', broken: 'tls', failure: { code: 'tls_expired' } })
    const handshake = found.steps.find(({ step }) => step === 'tls')?.findings[0]
    expect(handshake).toMatchObject({ kind: 'handshake', certificates: [{ subject: 'CN=localhost,O=Curlew Test', not_after: '2021-01-01T00:00:00.000Z' }], failure: { code: 'tls_expired' } })
  })

  it('tells a client certificate that is wanted, which TLS 1.3 says after the handshake', async () => {
    const { certFile, keyFile } = certificates.good
    await on(net.b, 6382, 'redis-server', '--bind', '0.0.0.0', '--save', '', '--dir', dir, '--port', '0', '--tls-port', '6382', '--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-ca-cert-file', certificates.caFile, '--tls-protocols', 'TLSv1.3')
    const found = await diagnose(`rediss://${B}:6382?ca_file=${certificates.caFile}&server_name=localhost`)
    expect(found).toMatchObject({ verdict: 'code', broken: 'tls', failure: { layer: 'tls', reason: 'denied' } })
    expect(statuses(found)).toContain('tls failed')
  })

  it('tells a login that is refused', async () => {
    expect(await diagnose(`redis://${B}:6380`)).toMatchObject({ verdict: 'code', broken: 'login', failure: { layer: 'auth', reason: 'denied' } })
  })

  it('tells a process that stands still', async () => {
    plain.child.kill('SIGSTOP')
    try {
      const found = await diagnose(`redis://${B}`)
      expect(found).toMatchObject({ verdict: 'code', broken: 'operation', failure: { reason: 'timeout' } })
      expect(statuses(found)).toEqual(['resolve ok', 'ping ok', 'connect ok', 'operation failed'])
    } finally {
      plain.child.kill('SIGCONT')
    }
  })

  it('accuses nobody where this machine has no network', async () => {
    const { stdout, code } = await runCurlew(['diagnose', `redis://${B}`, '--timeout', '1s'], { wrap: ['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'] })
    expect(code).toBe(3)
    expect(stdout).toContain(`This is Curlew's own trouble and says nothing about ${B}. The machine that runs Curlew has no network.`)
  })

  it('shows each step and the sentence to a person, in their language', async () => {
    net.b.nft('input', 'tcp dport 6379 drop')
    const { stdout, code } = await net.a.curlew(['diagnose', `redis://${B}`, '--timeout', '1s'], { env: { LC_ALL: '', LANG: 'zh_CN.UTF-8' } })
    expect(code).toBe(1)
    expect(stdout).toMatch(/✓ 解析[^]*✓ ping[^]*✗ 连接[^]*故障所在：连接\n.*6379 端口丢弃数据包：请检查防火墙规则或安全组。/)
  })

  it('never shows a password', async () => {
    const { stdout, stderr } = await net.a.curlew(['diagnose', `redis://${B}:6380`, '--timeout', '1s'], { env: { CURLEW_PASSWORD: 'not-of-the-test' } })
    expect(stdout).toContain('auth/denied')
    expect(stdout + stderr).not.toContain('not-of-the-test')
  })

  it('wants to know what, and knows what it does not know', async () => {
    expect(await runCurlew(['diagnose'])).toMatchObject({ code: 2, stderr: expect.stringContaining('expected the name of a probe, or a URL') })
    expect(await runCurlew(['diagnose', 'gopher://x'])).toMatchObject({ code: 2, stderr: expect.stringContaining('gopher://: expected one of') })
  })

  it('ends at once when it is interrupted', async () => {
    const port = await freePort()
    const silent = await startProcess(process.execPath, ['-e', `require('node:net').createServer(() => {}).listen(${port}, '127.0.0.1', () => console.log('up'))`], { ready: (output) => output.includes('up') })
    try {
      const ran = await runCurlew(['diagnose', `tcp://127.0.0.1:${port}?expect=x`, '--timeout', '20s'], { interrupt: { when: /connects/, signal: 'SIGINT' } })
      expect(ran).toMatchObject({ code: 130, stderr: expect.stringContaining('interrupted') })
    } finally {
      await silent.stop('SIGKILL')
    }
  })

  it('of an alert is in the API: evidence of the failure that turned it unhealthy', async () => {
    const port = await freePort()
    writeFileSync(`${dir}/evidence.yaml`, `probes:\n  - {name: gone, type: tcp, target: "127.0.0.1:${port}", every: 1s, timeout: 500ms, failure_threshold: 1}\n`)
    const served = await serveCurlew(['-c', `${dir}/evidence.yaml`])
    try {
      const evidence = await eventually(async () => {
        const { probe } = JSON.parse((await served.get('/api/v1/probes/lookup?probe=gone')).text) as Looked // safe: the API's shape
        return probe.history.failures[0]?.evidence
      }, 10_000, 'evidence')
      expect(evidence).toMatchObject({ schema_version: 1, verdict: 'port_closed', sentence: { en: expect.stringContaining('nothing listens on port'), zh: expect.stringContaining('没有进程监听') } })
      expect(await served.value('curlew_evidence_dropped_total{cause="busy"}')).toBe(0)
    } finally {
      await served.stop()
    }
  })

  it('is gathered without delaying a probe, also when everything fails at once', async () => {
    const [gone, open] = [await freePort(), await tcpServer()]
    const addresses = Array.from({ length: 40 }, (_, index) => `127.0.0.${index + 10}`)
    // Delays of a busy machine are shorter than these, those of a queue of forty walks are not.
    writeFileSync(`${dir}/outage.yaml`, JSON.stringify({ limits: { loop_delay: '2s' }, probes: [
      { name: 'gone', type: 'tcp', targets: addresses.map((ip) => `${ip}:${gone}`), every: '2s', timeout: '2s', failure_threshold: 1 },
      { name: 'open', type: 'tcp', target: `127.0.0.1:${open.port}`, every: '2s', timeout: '2s' },
    ] }))
    const served = await serveCurlew(['-c', `${dir}/outage.yaml`])
    try {
      const gathered = async () => (await Promise.all(addresses.map(async (ip) => JSON.parse((await served.get(`/api/v1/probes/lookup?probe=gone&target=${ip}:${gone}`)).text) as Looked))).filter(hasEvidence).length // safe: the API's shape
      const dropped = async () => await served.value('curlew_evidence_dropped_total{cause="busy"}') ?? 0
      await eventually(async () => await gathered() + await dropped() === addresses.length, 20_000, 'every failing target looked at or dropped')
      expect(await gathered()).toBeGreaterThanOrEqual(10)
      expect(await served.samples(/^curlew_runs_skipped_total.* [1-9]/)).toEqual([])
      expect(await served.samples(/^probe_runs_total\{probe="open".*result="(failed|unknown)"\} [1-9]/)).toEqual([])
    } finally {
      await served.stop()
      await open.close()
    }
  })
})
