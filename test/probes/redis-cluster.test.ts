import type { Socket } from 'node:net'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { readEntry } from '../../src/config/jobs.ts'
import { redisCluster } from '../../src/probes/redis-cluster.ts'
import { freePort } from '../support/process.ts'
import { array, bulk, script } from '../support/redis-script.ts'
import { tcpServer, type TestServer } from '../support/tcp.ts'
import { declarationContract, gaugeOf, jobOf, probeOnce, tcpProbeContract } from './contract.ts'

declarationContract(redisCluster)
tcpProbeContract(redisCluster, (port) => ({ target: `127.0.0.1:${port}` }))

const servers: TestServer[] = []
afterAll(async () => { for (const server of servers) await server.close() })
async function start(talk?: (socket: Socket) => void) {
  const server = await tcpServer(talk)
  servers.push(server)
  return server
}

const INFO = 'cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_known_nodes:2\r\n'
const range = (first: number, last: number, port: number, host: string | null = '127.0.0.1') =>
  array(`:${first}\r\n`, `:${last}\r\n`, array(host === null ? '$-1\r\n' : bulk(host), `:${port}\r\n`, bulk('f'.repeat(40)), array(bulk('hostname'), bulk('x'))))
/** Answers CLUSTER as the test says, the rest as a master. */
const node = (slots: () => string, answers: Parameters<typeof script>[0] = {}, info = INFO) =>
  script({ CLUSTER: (args) => (args[1] === 'SLOTS' ? slots() : bulk(info)), ...answers })
const probe = (seeds: readonly { readonly port: number }[], entry: Record<string, unknown> = {}) =>
  probeOnce(redisCluster, { target: seeds.map(({ port }) => `127.0.0.1:${port}`).join(','), timeout: '1s', ...entry })
const containing = (text: string): unknown => expect.stringContaining(text)

/** One node with all slots; `answers` may use its port. */
async function single(answers: (port: () => number) => Parameters<typeof script>[0] = () => ({}), slots?: (port: number) => string, info?: string) {
  const server = await start((socket) => talk(socket))
  const talk = node(() => slots?.(server.port) ?? array(range(0, 16_383, server.port)), answers(() => server.port), info)
  return server
}

describe('redis-cluster: what only hand-written servers do', () => {
  it('a node that does not tell its address is where it was asked', async () => {
    const server = await single(undefined, (port) => array(range(0, 16_383, port, null)))
    const result = await probe([server])
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_redis_cluster_master_up', { master: `127.0.0.1:${server.port}` })).toBe(1)
  })

  it('a map in thousands of pieces, which we do not read, is nothing that the cluster is accused of', async () => {
    const server = await single(undefined, (port) => array(...Array.from({ length: 6_000 }, (_, slot) => range(slot, slot, port))))
    expect(await probe([server])).toMatchObject({ status: 'unknown', failure: { layer: 'prober', reason: 'unsupported', code: 'redis_cluster_fragmented', message: containing('a reply of more than 50000 values') } })
  })

  it('a slot that has moved: the map is read again, and the new master is visited', async () => {
    const heir = await single()
    let reads = 0
    const old = await single(
      () => ({ SET: `-MOVED 0 127.0.0.1:${heir.port}\r\n` }),
      (port) => array(range(0, 16_383, reads++ === 0 ? port : heir.port)),
    )
    const result = await probe([old])
    expect(result).toMatchObject({ status: 'ok' })
    expect(reads).toBe(2)
    expect(result.gauges.filter(({ name }) => name.endsWith('master_up')).map(({ labels }) => labels)).toEqual([{ master: `127.0.0.1:${heir.port}` }])
  })

  it('a master that has just been replaced, which the node that was asked has not heard yet: it is asked who follows it', async () => {
    const heir = await single()
    const old = await single(
      () => ({ ROLE: array(bulk('slave'), bulk('127.0.0.1'), ':1\r\n', bulk('connected'), ':1\r\n') }),
      () => array(range(0, 16_383, heir.port)),
    )
    const seed = await single(undefined, () => array(range(0, 16_383, old.port)))
    const result = await probe([seed])
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.gauges.filter(({ name }) => name.endsWith('master_up')).map(({ labels }) => labels)).toEqual([{ master: `127.0.0.1:${heir.port}` }])
  })

  it('a master that follows the one that was replaced is written to, whatever the replaced one thinks of the cluster', async () => {
    const heir = await single(() => ({ SET: '-CLUSTERDOWN The cluster is down\r\n' }))
    const old = await single(
      () => ({ SET: `-MOVED 0 127.0.0.1:${heir.port}\r\n` }),
      () => array(range(0, 16_383, heir.port)), INFO.replace('state:ok', 'state:fail'),
    )
    const seed = await single(undefined, () => array(range(0, 16_383, old.port)))
    expect(await probe([seed])).toMatchObject({ status: 'failed', failure: { layer: 'request', reason: 'unavailable', code: 'redis_clusterdown' } })
  })

  it('a slot that is being handed over: another one of the master is used', async () => {
    const keys: string[] = []
    const server = await single(() => ({ SET: (args) => { keys.push(args[1] ?? ''); return keys.length === 1 ? '-ASK 0 127.0.0.1:1\r\n' : '+OK\r\n' }, GET: '$-1\r\n' }))
    expect(await probe([server])).toMatchObject({ status: 'failed', failure: { layer: 'assert', reason: 'mismatch', code: 'redis_wrong_value' } })
    expect(keys).toHaveLength(2)
    expect(keys[0]).not.toBe(keys[1])
  })

  it('a node that sends everybody away for slots of its own', async () => {
    const server = await single(() => ({ SET: '-MOVED 0 127.0.0.1:1\r\n' }))
    expect(await probe([server])).toMatchObject({
      status: 'failed', failure: { layer: 'assert', reason: 'mismatch', code: 'redis_cluster_redirects', message: containing(`1 of 1 masters fails: 127.0.0.1:${server.port} (slots 0-16383): MOVED`) },
    })
  })

  it('a master that is a replica by now is not written to', async () => {
    let written = false
    const server = await single(() => ({ ROLE: array(bulk('slave'), bulk('127.0.0.1'), ':1\r\n', bulk('connected'), ':1\r\n'), SET: () => { written = true; return '+OK\r\n' } }))
    expect(await probe([server])).toMatchObject({ status: 'failed', failure: { code: 'redis_cluster_redirects', message: containing('it is a replica now') } })
    expect(written).toBe(false)
  })

  it.each<[string, string, string, object]>([
    ['a map that is none', '+OK\r\n', INFO, { layer: 'request', reason: 'protocol', code: 'redis_protocol' }],
    ['a state that is none', array(), 'hello', { code: 'redis_protocol' }],
    ['no slots at all', array(), INFO, { layer: 'request', reason: 'unavailable', code: 'redis_cluster_uncovered', message: '16384 of 16384 slots belong to no node' }],
    ['an unknown error', '-NEWERROR x\r\n', INFO, { layer: 'request', reason: 'other', code: 'redis_other' }],
    ['no right to look', "-NOPERM this user has no permissions to run the 'cluster|slots' command\r\n", INFO, { layer: 'auth', reason: 'denied', code: 'redis_noperm' }],
  ])('%s', async (_name, slots, info, failure) => {
    expect(await probe([await start(node(() => slots, {}, info))])).toMatchObject({ status: 'failed', failure })
  })

  it('a cluster that is down: every master is knocked at, none is written to', async () => {
    let written = false
    const closed = await freePort()
    const server = await single(() => ({ SET: () => { written = true; return '+OK\r\n' } }), (port) => array(range(0, 99, port), range(100, 16_383, closed)), INFO.replace('ok', 'fail'))
    const result = await probe([server])
    expect(result).toMatchObject({ status: 'failed', failure: { layer: 'request', reason: 'unavailable', code: 'redis_clusterdown' } })
    expect(result).toMatchObject({ failure: { message: containing(`cluster_state is fail by 127.0.0.1:${server.port}; 1 of 2 masters fails: 127.0.0.1:${closed} (slots 100-16383): connect ECONNREFUSED`) } })
    expect(gaugeOf(result, 'probe_redis_cluster_state')).toBe(0)
    expect(gaugeOf(result, 'probe_redis_cluster_masters_up')).toBe(1)
    expect(written).toBe(false)
  })

  it('a node that is cut off is not the cluster: another one that is listed is believed', async () => {
    const well = await single()
    const cut = await single(undefined, undefined, INFO.replace('ok', 'fail'))
    const result = await probe([cut, well])
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_redis_cluster_state')).toBe(1)
  })

  it('a first node that hangs leaves time for the others', async () => {
    const silent = [await start(), await start()]
    const well = await single()
    const result = await probe([...silent, well], { timeout: '2s' })
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.ms).toBeLessThan(1_990)
  })

  it('in read-only mode: nobody is written to, and a master that takes the cluster for down fails', async () => {
    let asked = 0
    const server = await single(() => ({ SET: '-ERR must not\r\n', CLUSTER: (args) => (args[1] === 'SLOTS' ? array(range(0, 16_383, server.port)) : bulk(asked++ === 0 ? INFO : INFO.replace('ok', 'fail'))) }))
    expect(await probe([server], { mode: 'read-only' })).toMatchObject({ status: 'failed', failure: { layer: 'request', reason: 'unavailable', code: 'redis_clusterdown' } })
    expect(await probe([await single(() => ({ SET: '-ERR must not\r\n' }))], { mode: 'read-only' })).toMatchObject({ status: 'ok' })
  })

  it('40 masters: each once, at most 16 at a time, and the silent ones keep nobody from the others', async () => {
    let open = 0
    let most = 0
    const counted = (talk: (socket: Socket) => void) => (socket: Socket) => {
      most = Math.max(most, ++open)
      socket.on('close', () => { open-- })
      talk(socket)
    }
    const masters = await Promise.all(Array.from({ length: 40 }, (_, n) => start(counted(n < 20 ? (socket) => { socket.resume() } : script({})))))
    const seed = await start(node(() => array(...masters.map(({ port }, n) => range(n * 410, n === 39 ? 16_383 : n * 410 + 409, port)))))
    const result = await probe([seed], { timeout: '1s' })
    expect(result).toMatchObject({ status: 'failed', failure: { layer: 'request', reason: 'timeout', code: 'request_timeout', message: containing('20 of 40 masters fail: ') } })
    expect(result).toMatchObject({ failure: { message: containing('and 14 more') } })
    expect(gaugeOf(result, 'probe_redis_cluster_masters')).toBe(40)
    expect(gaugeOf(result, 'probe_redis_cluster_masters_up')).toBe(20)
    // A server sees the end of a connection a little after the next one has begun.
    expect(most).toBeLessThanOrEqual(20)
    expect(masters.map((one) => one.accepted())).toEqual(masters.map(() => 1))
  })

  it('random bytes never make it unknown', async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 40 }), async (bytes) => {
      const server = await tcpServer((socket) => { socket.once('data', () => socket.end(bytes)) })
      const { status } = await probe([server], { timeout: '500ms' })
      await server.close()
      expect(status).toBe('failed')
    }), { numRuns: 30 })
  })
})

describe('redis-cluster: targets', () => {
  const issues = (entry: Record<string, unknown>) => readEntry(redisCluster, { name: 'it', type: 'redis-cluster', ...entry }).issues

  it('in every way to write them', () => {
    for (const target of ['h1,h2:7001', 'h2:7001,H1:6379', 'redis+cluster://h1,h2:7001', 'REDISS+CLUSTER://user:word@h2:7001,h1/?key_prefix=x']) {
      expect(jobOf(redisCluster, { target }).target).toBe('h1:6379,h2:7001')
    }
  })

  it('say what is wrong with them', () => {
    expect(issues({ target: 'redis+cluster://h1,h2/3' })).toMatchObject([{ path: ['target'], message: containing('without a path') }])
    expect(issues({ target: 'h1', key_prefix: '{x}' })).toMatchObject([{ path: ['key_prefix'], message: containing('expected no {') }])
  })
})
