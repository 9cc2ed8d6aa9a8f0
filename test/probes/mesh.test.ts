import { createSocket } from 'node:dgram'
import { createServer, type Socket } from 'node:net'
import { getActiveResourcesInfo } from 'node:process'
import { afterAll, describe, expect, it } from 'vitest'
import { readEntry } from '../../src/config/jobs.ts'
import { startResponder } from '../../src/mesh/responder.ts'
import { mesh } from '../../src/probes/mesh.ts'
import { answerTo, questionLength } from '../../src/probes/lib/mesh-wire.ts'
import { eventually, freePort } from '../support/process.ts'
import { listening } from '../support/tcp.ts'
import { declarationContract, gaugeOf, jobOf, probeOnce } from './contract.ts'

const cleanups: (() => unknown)[] = []
afterAll(async () => { for (const cleanup of cleanups.splice(0).toReversed()) await cleanup() })

declarationContract(mesh)

/** What a scripted agent does with a question that has come to it whole; nothing is silence. */
interface Script {
  readonly tcp?: (asked: Buffer, socket: Socket) => void
  readonly udp?: ((asked: Buffer, reply: (bytes: Buffer) => void) => void) | undefined
}

const echoTcp = (asked: Buffer, socket: Socket) => { socket.write(answerTo(asked)) }
const echoUdp = (asked: Buffer, reply: (bytes: Buffer) => void) => reply(answerTo(asked))
const isLarge = (asked: Buffer) => asked.length > 1_000

/** Without `udp` nothing has that port. */
async function agent({ tcp = echoTcp, udp }: Script): Promise<number> {
  const server = await listening(createServer((socket) => {
    let held = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk])
      for (let length = questionLength(held); length && held.length >= length; length = questionLength(held)) {
        tcp(held.subarray(0, length), socket)
        held = held.subarray(length)
      }
    })
  }))
  cleanups.push(() => server.close())
  if (!udp) return server.port
  const socket = createSocket('udp4')
  cleanups.push(() => new Promise<void>((resolve) => { socket.close(resolve) }))
  socket.on('message', (asked, { port, address }) => udp(asked, (bytes) => socket.send(bytes, port, address)))
  await new Promise<void>((resolve) => { socket.bind(server.port, '127.0.0.1', resolve) })
  return server.port
}

const ask = (port: number, more: Record<string, unknown> = {}) => probeOnce(mesh, { target: `127.0.0.1:${port}`, ...more })
/** Where something stays silent, which takes the time that there is. */
const brief = { timeout: '500ms', count: 3 }

describe('mesh: an agent that is well', () => {
  it('answers over TCP and UDP, small and large', async () => {
    const port = await freePort()
    const responder = await startResponder({ host: '127.0.0.1', port }, () => {})
    cleanups.push(() => responder.close())
    const result = await ask(port)
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.phases.map(({ name }) => name)).toEqual(['resolve', 'icmp', 'connect', 'echo', 'udp'])
    for (const size of ['small', 'large']) expect(gaugeOf(result, 'probe_mesh_loss_ratio', { protocol: 'udp', size })).toBe(0)
    for (const protocol of ['tcp', 'udp']) expect(gaugeOf(result, 'probe_mesh_rtt_seconds', { protocol })).toBeGreaterThan(0)
    expect(gaugeOf(result, 'probe_mesh_jitter_seconds', { protocol: 'udp' })).toBeGreaterThan(0)
    // Where a test runs, pinging may be forbidden: that is said, and accuses nobody.
    const icmp = gaugeOf(result, 'probe_mesh_icmp')
    expect(gaugeOf(result, 'probe_mesh_loss_ratio', { protocol: 'icmp', size: 'large' })).toBe(icmp === 1 ? 0 : undefined)
  })

  it('may be slow: that is a level', async () => {
    const later = (work: () => void) => { setTimeout(work, 60) }
    const result = await ask(await agent({ tcp: (asked, socket) => later(() => echoTcp(asked, socket)), udp: (asked, reply) => later(() => echoUdp(asked, reply)) }))
    expect(result).toMatchObject({ status: 'ok' })
    for (const protocol of ['tcp', 'udp']) expect(gaugeOf(result, 'probe_mesh_rtt_seconds', { protocol })).toBeGreaterThan(0.055)
  })

  it('may lose datagrams: that is a level too', async () => {
    let heard = 0
    const result = await ask(await agent({ udp: (asked, reply) => { if (isLarge(asked) || heard++ % 2 === 0) echoUdp(asked, reply) } }), { timeout: '1s', count: 4 })
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_mesh_loss_ratio', { protocol: 'udp', size: 'small' })).toBe(0.5)
    expect(gaugeOf(result, 'probe_mesh_loss_ratio', { protocol: 'udp', size: 'large' })).toBe(0)
  })
})

describe('mesh: which part of the way is broken', () => {
  const large = (work: (asked: Buffer) => void) => (asked: Buffer) => { if (!isLarge(asked)) work(asked) }
  it.concurrent.each<readonly [string, Script, object]>([
    ['UDP is dropped', { udp: () => {} }, { layer: 'connect', reason: 'timeout', code: 'mesh_udp_blocked' }],
    ['UDP is turned away', {}, { layer: 'connect', reason: 'refused', code: 'mesh_udp_rejected' }],
    ['UDP is answered by somebody else', { udp: (_, reply) => reply(Buffer.alloc(56)) }, { code: 'mesh_udp_blocked' }],
    ['large datagrams are dropped', { udp: (asked, reply) => large(() => echoUdp(asked, reply))(asked) }, { layer: 'network', reason: 'mismatch', code: 'mesh_mtu' }],
    ['large segments are dropped', { tcp: (asked, socket) => large(() => echoTcp(asked, socket))(asked), udp: echoUdp }, { layer: 'network', reason: 'mismatch', code: 'mesh_mtu' }],
    ['the agent hangs', { tcp: () => {}, udp: () => {} }, { layer: 'request', reason: 'timeout', code: 'request_timeout' }],
    ['the agent hangs up', { tcp: (_, socket) => socket.destroy(), udp: echoUdp }, { layer: 'request', reason: 'reset', code: 'request_reset' }],
    ['another service has the port', { tcp: (_, socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), udp: echoUdp }, { layer: 'request', reason: 'protocol', code: 'mesh_not_an_agent' }],
    ['another service echoes', { tcp: (asked, socket) => socket.write(asked), udp: echoUdp }, { code: 'mesh_not_an_agent' }],
    ['another service says more than it was asked', { tcp: (asked, socket) => socket.write(Buffer.concat([answerTo(asked), Buffer.from('x')])), udp: echoUdp }, { code: 'mesh_not_an_agent' }],
  ])('%s', async (_, script, failure) => {
    expect(await ask(await agent(script), brief)).toMatchObject({ status: 'failed', failure })
  })

  it('nothing listens: no loss is told of an agent that is not there', async () => {
    const result = await ask(await freePort(), brief)
    expect(result).toMatchObject({ status: 'failed', failure: { layer: 'connect', reason: 'refused', code: 'connect_refused' } })
    expect(result.gauges.filter(({ name, labels }) => name === 'probe_mesh_loss_ratio' && labels?.['protocol'] === 'udp')).toEqual([])
  })

  it('an agent that ends in the middle has lost nothing', async () => {
    let connection: Socket | undefined
    const port = await agent({
      tcp(asked, socket) {
        connection = socket
        echoTcp(asked, socket)
      },
      udp: () => { connection?.destroy() },
    })
    const result = await ask(port, brief)
    expect(result).toMatchObject({ status: 'failed', failure: { layer: 'request', reason: 'reset', code: 'request_reset' } })
    expect(result.gauges.filter(({ name }) => name === 'probe_mesh_loss_ratio')).toEqual([])
  })

  it('a run that is stopped accuses nobody, and leaves nothing behind', async () => {
    const port = await agent({ tcp: () => {}, udp: () => {} })
    const held = () => getActiveResourcesInfo().filter((name) => /^(TCPSocketWrap|UDPWrap)$/.test(name)).length
    const before = held()
    const stop = new AbortController()
    const running = probeOnce(mesh, { target: `127.0.0.1:${port}` }, stop.signal)
    setTimeout(() => stop.abort(), 150)
    expect(await running).toMatchObject({ status: 'unknown', failure: { code: 'prober_aborted' } })
    await eventually(() => held() <= before)
  })
})

describe('mesh: options', () => {
  const issuesOf = (entry: Record<string, unknown>) => readEntry(mesh, { name: 'it', type: 'mesh', ...entry }).issues.map(({ path, message }) => `${path.map(String).join('.')}: ${message}`)

  it.each([
    [{ target: 'host', packet_size: 55 }, /^packet_size: /], [{ target: 'host', packet_size: 9_000 }, /^packet_size: /], [{ target: 'host', count: 1 }, /^count: /],
    [{ target: 'host', peer: 'Not a node' }, /^peer: expected the name of a node/], [{ target: 'host', network: 'other' }, /^network: /],
    [{ target: 'mesh://host/path' }, /^target: expected a host and a port alone/],
  ])('refuses %j', (entry, message) => {
    expect(issuesOf(entry)).toEqual([expect.stringMatching(message)])
  })

  it.each([
    [{ target: '10.0.0.1' }, '10.0.0.1:9798', '10.0.0.1'], [{ target: 'mesh://[fd00::1]:99?count=2&packet_size=8000&network=host' }, '[fd00::1]:99', 'fd00::1'],
    [{ target: '10.0.0.1', peer: 'worker-1' }, 'worker-1:9798', 'worker-1'], [{ target: 'agent.example.org:99', peer: 'worker-1' }, 'worker-1:99', 'agent.example.org'],
  ])('takes %j', (entry, target, host) => {
    expect(issuesOf(entry)).toEqual([])
    expect(jobOf(mesh, entry)).toMatchObject({ target, host })
  })

  it('calls a peer by its node: a new address makes no new target, but is used', () => {
    const [before, after] = ['10.0.0.1', '10.0.0.2'].map((target) => jobOf(mesh, { target, peer: 'worker-1' }))
    expect(after?.id).toBe(before?.id)
    expect(after?.fingerprint).not.toBe(before?.fingerprint)
    expect(after?.ways()).toMatchObject([{ host: 'worker-1', ip: '10.0.0.2', port: 9798 }])
  })
})
