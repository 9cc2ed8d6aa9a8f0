import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { readEntry } from '../../src/config/jobs.ts'
import { redisSentinel } from '../../src/probes/redis-sentinel.ts'
import { freePort } from '../support/process.ts'
import { array, bulk, script } from '../support/redis-script.ts'
import { tcpServer, type TestServer } from '../support/tcp.ts'
import { declarationContract, gaugeOf, jobOf, probeOnce, tcpProbeContract } from './contract.ts'

declarationContract(redisSentinel)
tcpProbeContract(redisSentinel, (port) => ({ target: `127.0.0.1:${port}/mymaster` }))

const servers: TestServer[] = []
afterAll(async () => { for (const server of servers) await server.close() })
async function start(talk?: Parameters<typeof tcpServer>[0]) {
  const server = await tcpServer(talk)
  servers.push(server)
  return server
}

const named = (port: number | string, host = '127.0.0.1') => array(bulk(host), bulk(String(port)))
/** A sentinel that names the address, and answers the rest as one that is content. */
const sentinel = (address: string, answers: Record<string, string> = {}) => start(script({
  SENTINEL: (args) => ({ 'GET-MASTER-ADDR-BY-NAME': address, MASTER: array(bulk('flags'), bulk('master')), CKQUORUM: '+OK 3 usable Sentinels.\r\n', ...answers })[args[1] ?? ''] ?? '-ERR unknown subcommand\r\n',
}))
const probe = (sentinels: readonly { readonly port: number }[], entry: Record<string, unknown> = {}) =>
  probeOnce(redisSentinel, { target: `${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/mymaster`, timeout: '1s', ...entry })
const containing = (text: string): unknown => expect.stringContaining(text)

describe('redis-sentinel: what only hand-written servers do', () => {
  it.each<[string, string, object]>([
    ['is in doubt', '-IDONTKNOW\r\n', { layer: 'request', reason: 'unavailable', code: 'redis_idontknow' }],
    ['answers with a text', '+OK\r\n', { layer: 'request', reason: 'protocol', code: 'redis_protocol' }],
    ['names no port', array(bulk('127.0.0.1')), { code: 'redis_protocol' }],
    ['names a port beyond all', named('99999'), { code: 'redis_protocol' }],
    ['names no host', named('6379', ''), { code: 'redis_protocol' }],
    ['names something that is no host', named('6379', 'a b'), { code: 'redis_protocol' }],
    ['fails with an unknown word', '-NEWERROR x\r\n', { layer: 'request', reason: 'other', code: 'redis_other' }],
    ['knows no master of the name', '*-1\r\n', { layer: 'request', reason: 'not_found', code: 'redis_no_such_master', message: 'none of the sentinels that answer (1 of 1) knows a master mymaster' }],
    ['is a Redis server', "-ERR unknown command 'SENTINEL', with args beginning with: \r\n", { layer: 'request', reason: 'unsupported', code: 'redis_not_sentinel' }],
  ])('a sentinel that %s', async (_name, address, failure) => {
    expect(await probe([await sentinel(address)])).toMatchObject({ status: 'failed', failure })
  })

  it('a master over IPv6 or by a name, where it does not answer: said with the address, and what to look at', async () => {
    const port = await freePort()
    for (const [host, shown] of [['::1', `[::1]:${port}`], ['localhost', `localhost:${port}`]] as const) {
      const result = await probe([await sentinel(named(port, host))])
      expect(result).toMatchObject({ status: 'failed', failure: { layer: 'connect', reason: 'refused', code: 'connect_refused', message: containing(`${shown}, named by the sentinels as master of mymaster: `) } })
      expect(result).toMatchObject({ failure: { message: containing('announce-ip') } })
      expect(gaugeOf(result, 'probe_redis_sentinel_master_info', { address: shown })).toBe(1)
    }
  })

  it('a master that is down: said how many sentinels think so, and nothing of addresses', async () => {
    const address = named(await freePort())
    const down = await sentinel(address, { MASTER: array(bulk('flags'), bulk('s_down,master')) })
    const result = await probe([down, await sentinel(address, { MASTER: array(bulk('flags'), bulk('master,s_down,o_down')) }), await sentinel(address)])
    expect(result).toMatchObject({ status: 'failed', failure: { code: 'connect_refused', message: containing('(sentinels that take it for down too: 2)') } })
    expect(gaugeOf(result, 'probe_redis_sentinel_master_down')).toBe(2)
  })

  it('a master that accepts and stays silent: named, in the phase that waited', async () => {
    const silent = await start()
    expect(await probe([await sentinel(named(silent.port))], { timeout: '400ms' })).toMatchObject({
      status: 'failed', failure: { layer: 'request', reason: 'timeout', code: 'request_timeout', message: containing(`127.0.0.1:${silent.port}, named by the sentinels as master of mymaster`) },
    })
  })

  it('a Sentinel as the master', async () => {
    const other = await start(script({ ROLE: array(bulk('sentinel'), array()) }))
    expect(await probe([await sentinel(named(other.port))])).toMatchObject({ status: 'failed', failure: { layer: 'assert', reason: 'mismatch', code: 'redis_sentinel_not_master', message: containing('it is a sentinel') } })
  })

  it('one of them silent: the run is ok, and does not wait for it to the end', async () => {
    const master = await start(script({}))
    const result = await probe([await sentinel(named(master.port)), await start()], { timeout: '2s' })
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.ms).toBeLessThan(1_990)
    expect(gaugeOf(result, 'probe_redis_sentinel_configured')).toBe(2)
    expect(gaugeOf(result, 'probe_redis_sentinel_reachable')).toBe(1)
  })

  it('a sentinel that does not know the name says nothing of the others: one that does is waited for', async () => {
    const master = await start(script({}))
    const slow = await start((socket) => {
      const answer = script({ SENTINEL: (args) => (args[1] === 'GET-MASTER-ADDR-BY-NAME' ? named(master.port) : array(bulk('flags'), bulk('master'))) })
      socket.once('data', (chunk) => setTimeout(() => { answer(socket); socket.emit('data', chunk) }, 700))
    })
    expect(await probe([await sentinel('*-1\r\n'), slow], { timeout: '1s' })).toMatchObject({ status: 'ok' })
  })

  it('all of them in trouble, each with another: the one that was got furthest with is told in full', async () => {
    const result = await probe([{ port: await freePort() }, await start(), await start(script({ AUTH: '-WRONGPASS no\r\n' }))], { sentinel_password: 'some-password', timeout: '400ms' })
    expect(result).toMatchObject({ status: 'failed', failure: { layer: 'auth', reason: 'denied', code: 'redis_wrongpass' } })
    expect(result).toMatchObject({ failure: { message: expect.stringMatching(/^no sentinel names a master: .*: WRONGPASS no; .*connect\/refused.*sentinel_username, sentinel_password/) } })
    expect(result).toMatchObject({ failure: { message: containing('auth/timeout') } })
    expect(gaugeOf(result, 'probe_redis_sentinel_reachable')).toBe(0)
  })

  it('what it must not say is left open', async () => {
    const master = await start(script({}))
    const no = "-NOPERM this user has no permissions to run the 'sentinel|master' command\r\n"
    const result = await probe([await sentinel(named(master.port), { MASTER: no, CKQUORUM: no })])
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_redis_sentinel_agreed_ratio')).toBe(1)
    for (const name of ['quorum_ok', 'sentinels', 'replicas', 'master_down', 'failover_in_progress']) expect(gaugeOf(result, `probe_redis_sentinel_${name}`)).toBeUndefined()
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

describe('redis-sentinel: targets', () => {
  const issues = (entry: Record<string, unknown>) => readEntry(redisSentinel, { name: 'it', type: 'redis-sentinel', ...entry }).issues
  const optionsOf = (url: string) => redisSentinel.options.parse(redisSentinel.fromUrl(new URL(url)))

  it('in every way to write them', () => {
    for (const target of ['h1,h2/mymaster', 'h2:26379,H1/mymaster', 'redis+sentinel://h1:26379,h2:26379/mymaster', 'REDIS+SENTINEL://user:word@h2,h1/mymaster/3?tls=true#x']) {
      expect(jobOf(redisSentinel, { target }).target).toBe('h1:26379,h2:26379/mymaster')
    }
    expect(jobOf(redisSentinel, { target: 'redis+sentinel://[::1],[::1]:7000/m' }).target).toBe('[::1]:26379,[::1]:7000/m')
  })

  it('with everything that a URL says', () => {
    expect(optionsOf('rediss+sentinel://prober:p%40ss@h1/mymaster/3?sentinel_username=x&sentinel_tls=false&key_prefix=y:')).toMatchObject({
      username: 'prober', db: 3, tls: true, sentinel_username: 'x', sentinel_tls: false, key_prefix: 'y:',
    })
    expect(optionsOf('redis+sentinel://h1/mymaster/')).toMatchObject({ db: 0 })
  })

  it.each([['h1'], ['h1/'], ['redis+sentinel://h1,h2'], ['redis+sentinel://h1/a/b'], ['redis+sentinel://h1:x,h2/m'], ['redis+sentinel://h1,h2:x/m'], ['redis+sentinel:///m']])('%s is none', (target) => {
    expect(issues({ target })).toMatchObject([{ path: ['target'], message: expect.stringMatching(/^expected (host\[:port\] of one server|a URL such as)/) }])
  })
})
