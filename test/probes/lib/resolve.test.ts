import { execFile } from 'node:child_process'
import { getActiveResourcesInfo } from 'node:process'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { candidates, resolveHost, type ResolveOptions } from '../../../src/probes/lib/resolve.ts'
import type { ResolverSystem } from '../../../src/probes/lib/resolv-conf.ts'
import { addressRecord, reply, scriptedDns, type Script, type ScriptedDns } from '../../support/dns-servers.ts'
import { eventually, freePort } from '../../support/process.ts'

const servers: ScriptedDns[] = []
afterAll(async () => { for (const server of servers) await server.close() })
const serve = async (script: Script, options?: { tcp: boolean }) => {
  const server = await scriptedDns(script, options)
  servers.push(server)
  return server
}

/** A name server that knows these names: addresses, an empty list for NODATA, or a return code. */
const zone = (names: Record<string, readonly string[] | number>) => serve((asked, send) => {
  const entry = names[asked.name] ?? 3
  if (typeof entry === 'number') return send(reply(asked, { rcode: entry }))
  const answers = entry.map((ip) => addressRecord(asked.name, ip)).filter(({ type }) => type === asked.type)
  send(reply(asked, { answers }))
})

const silent = () => serve(() => {})

const system = (ports: readonly number[], rest: Partial<ResolverSystem> = {}): ResolverSystem => ({
  servers: ports.map((port) => ({ ip: '127.0.0.1', port })), search: [], ndots: 1, timeoutMs: 5_000, attempts: 2, hosts: new Map(), ...rest,
})
const resolve = (host: string, from: ResolverSystem, options: Partial<ResolveOptions> = {}) =>
  resolveHost(host, { ipProtocol: 'any', signal: new AbortController().signal, system: from, ...options })
const ips = async (host: string, from: ResolverSystem, options: Partial<ResolveOptions> = {}) => (await resolve(host, from, options)).map(({ ip }) => ip)
const names = (server: ScriptedDns) => [...new Set(server.asked.map(({ name }) => name))]

describe('what needs no name server', () => {
  const nobody = system([1], { hosts: new Map([['db', ['fd00::5', '10.0.0.5', '10.0.0.6']], ['six', ['fd00::6']], ['localhost', ['127.0.0.1']]]) })

  it('returns literal addresses as they are', async () => {
    expect(await resolve('192.0.2.7', nobody, { ipProtocol: 'ip6' })).toEqual([{ ip: '192.0.2.7', family: 4 }])
    expect(await resolve('2001:db8::7', nobody)).toEqual([{ ip: '2001:db8::7', family: 6 }])
  })

  it('takes the hosts file first, IPv4 first, whatever the case and the final dot', async () => {
    expect(await ips('db', nobody)).toEqual(['10.0.0.5', '10.0.0.6', 'fd00::5'])
    expect(await ips('DB.', nobody, { ipProtocol: 'ip6' })).toEqual(['fd00::5'])
  })

  it('knows localhost even if the hosts file does not', async () => {
    expect(await ips('localhost', nobody)).toEqual(['127.0.0.1'])
    expect(await ips('localhost', nobody, { ipProtocol: 'ip6' })).toEqual(['::1'])
    expect(await ips('a.localhost', system([1]))).toEqual(['127.0.0.1', '::1'])
  })

  it('asks a name server for the family that the hosts file does not have', async () => {
    const server = await zone({ six: ['192.0.2.6'] })
    expect(await ips('six', system([server.port], { hosts: nobody.hosts }), { ipProtocol: 'ip4' })).toEqual(['192.0.2.6'])
  })
})

describe('search list and ndots', () => {
  const search = ['ns.svc.cluster.local', 'svc.cluster.local']

  it('tries the search list first for names with few dots', () => {
    expect(candidates('db', { search, ndots: 1 })).toEqual(['db.ns.svc.cluster.local', 'db.svc.cluster.local', 'db'])
    expect(candidates('db.other', { search, ndots: 5 })).toEqual(['db.other.ns.svc.cluster.local', 'db.other.svc.cluster.local', 'db.other'])
  })

  it('tries the name itself first when it has ndots dots', () => {
    expect(candidates('db.other', { search, ndots: 1 })).toEqual(['db.other', 'db.other.ns.svc.cluster.local', 'db.other.svc.cluster.local'])
    expect(candidates('db', { search, ndots: 0 })[0]).toBe('db')
  })

  it('takes a final dot for the end, and the root for itself', () => {
    expect(candidates('db.other.', { search, ndots: 5 })).toEqual(['db.other'])
    expect(candidates('db', { search: ['.'], ndots: 1 })).toEqual(['db'])
  })

  it('leaves out what is too long to be a name', () => {
    const long = `${'a'.repeat(60)}.`.repeat(4).slice(0, -1)
    expect(candidates(long, { search: ['svc.cluster.local'], ndots: 1 })).toEqual([long])
    expect(candidates(`${'a'.repeat(64)}.x`, { search, ndots: 1 })).toEqual([])
  })

  it('goes from NXDOMAIN, NODATA and SERVFAIL to the next candidate', async () => {
    const server = await zone({ 'db.b.test': [], 'db.c.test': 2, 'db.d.test': ['192.0.2.1'] })
    expect(await ips('db', system([server.port], { search: ['a.test', 'b.test', 'c.test', 'd.test'] }))).toEqual(['192.0.2.1'])
    expect(names(server)).toEqual(['db.a.test', 'db.b.test', 'db.c.test', 'db.d.test'])
  })

  it('says that a name does not exist only when no candidate does', async () => {
    const server = await zone({ 'db.b.test': [] })
    await expect(resolve('db', system([server.port], { search: ['a.test', 'b.test'] }))).rejects.toMatchObject({ name: 'ProbeFailure', code: 'resolve_not_found' })
    expect(names(server)).toEqual(['db.a.test', 'db.b.test', 'db'])
  })
})

describe('families', () => {
  it('asks for both and gives IPv4 first', async () => {
    const server = await zone({ 'a.test': ['2001:db8::1', '192.0.2.1', '192.0.2.2'] })
    expect(await resolve('a.test', system([server.port]))).toEqual([
      { ip: '192.0.2.1', family: 4 }, { ip: '192.0.2.2', family: 4 }, { ip: '2001:db8::1', family: 6 },
    ])
    expect(server.asked.map(({ type }) => type).toSorted()).toEqual(['A', 'AAAA'])
  })

  it('asks for one only when told so', async () => {
    const server = await zone({ 'a.test': ['2001:db8::1', '192.0.2.1'] })
    expect(await ips('a.test', system([server.port]), { ipProtocol: 'ip6' })).toEqual(['2001:db8::1'])
    expect(server.asked.map(({ type }) => type)).toEqual(['AAAA'])
  })

  it('is content with one when the other has none, fails, or is never answered', async () => {
    const none = await zone({ 'a.test': ['192.0.2.1'] })
    expect(await ips('a.test', system([none.port]))).toEqual(['192.0.2.1'])
    const half = (other: Script) => serve((asked, send, socket) => asked.type === 'A'
      ? send(reply(asked, { answers: [addressRecord(asked.name, '192.0.2.1')] })) : other(asked, send, socket))
    const failing = await half((asked, send) => send(reply(asked, { rcode: 2 })))
    expect(await ips('a.test', system([failing.port]))).toEqual(['192.0.2.1'])
    const dropping = await half(() => {})
    expect(await ips('a.test', system([dropping.port], { timeoutMs: 300 }))).toEqual(['192.0.2.1'])
  })

  it('leaves most of the run to what comes after it when the other is never answered', async () => {
    const server = await serve((asked, send) => {
      if (asked.type === 'A') send(reply(asked, { answers: [addressRecord(asked.name, '192.0.2.1')] }))
    })
    const deadline = performance.now() + 1_000
    expect(await ips('a.test', system([server.port]), { deadline })).toEqual(['192.0.2.1'])
    expect(deadline - performance.now()).toBeGreaterThan(500)
  })

  it('believes one NXDOMAIN without waiting for the other family', async () => {
    const server = await serve((asked, send) => { if (asked.type === 'A') send(reply(asked, { rcode: 3 })) })
    const began = performance.now()
    await expect(resolve('a.test', system([server.port]))).rejects.toMatchObject({ code: 'resolve_not_found' })
    expect(performance.now() - began).toBeLessThan(1_000)
  })

  it('finds addresses behind CNAMEs, each once', async () => {
    const server = await serve((asked, send) => send(reply(asked, {
      answers: [
        { name: asked.name, type: 'CNAME', ttl: 5, data: 'real.test' },
        ...['192.0.2.1', '192.0.2.1'].map((ip) => addressRecord('real.test', ip)),
      ],
    })))
    expect(await ips('a.test', system([server.port]), { ipProtocol: 'ip4' })).toEqual(['192.0.2.1'])
  })
})

describe('name servers that are no help', () => {
  it('goes on to the next one when one is silent, closed, or answers an error', async () => {
    const good = await zone({ 'a.test': ['192.0.2.1'] })
    for (const bad of [(await silent()).port, await freePort(), (await zone({ 'a.test': 2 })).port, (await zone({ 'a.test': 5 })).port]) {
      expect(await ips('a.test', system([bad, good.port], { timeoutMs: 200 }))).toEqual(['192.0.2.1'])
    }
  })

  it('waits for a silent one only once', async () => {
    const dead = await silent()
    const good = await zone({ 'db.c.test': ['192.0.2.1'] })
    await resolve('db', system([dead.port, good.port], { timeoutMs: 150, search: ['a.test', 'b.test', 'c.test'] }))
    expect(names(dead)).toEqual(['db.a.test'])
  })

  it('asks again, as often as attempts says, when nobody answered', async () => {
    const lossy = await serve((asked, send) => {
      if (lossy.asked.length > 2) send(reply(asked, { answers: [addressRecord(asked.name, '192.0.2.1')] }))
    })
    expect(await ips('a.test', system([lossy.port], { timeoutMs: 150 }), { ipProtocol: 'ip4' }).catch((error: unknown) => error)).toMatchObject({ code: 'resolve_timeout' })
    expect(lossy.asked).toHaveLength(2)
    expect(await ips('a.test', system([lossy.port], { timeoutMs: 150 }), { ipProtocol: 'ip4' })).toEqual(['192.0.2.1'])
  })

  it('shares what is left of the run, so that a silent first one does not eat it all', async () => {
    const [dead, good] = [await silent(), await zone({ 'a.test': ['192.0.2.1'] })]
    const began = performance.now()
    expect(await ips('a.test', system([dead.port, good.port]), { deadline: began + 3_000 })).toEqual(['192.0.2.1'])
    expect(performance.now() - began).toBeLessThan(2_000)
  })

  it('asks every server, however short the run is', async () => {
    const [dead, mute, good] = [await silent(), await silent(), await zone({ 'a.test': ['192.0.2.1'] })]
    expect(await ips('a.test', system([dead.port, mute.port, good.port]), { deadline: performance.now() + 900 })).toEqual(['192.0.2.1'])
  })

  it('ends before the run does, and names who was silent', async () => {
    const dead = await silent()
    const deadline = performance.now() + 300
    const error = await resolve('a.test', system([dead.port]), { deadline }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ name: 'ProbeFailure', code: 'resolve_timeout', message: `none of the name servers 127.0.0.1 port ${dead.port} answered for a.test` })
    expect(performance.now()).toBeLessThan(deadline + 2_000)
  })

  it('calls closed ports silence', async () => {
    await expect(resolve('a.test', system([await freePort(), await freePort()]))).rejects.toMatchObject({ code: 'resolve_timeout' })
  })

  it('says so when all answer with errors', async () => {
    const [failing, refusing] = [await zone({ 'a.test': 2 }), await zone({ 'a.test': 5 })]
    await expect(resolve('a.test', system([failing.port, refusing.port]))).rejects.toMatchObject({ code: 'resolve_other', message: expect.stringContaining('REFUSED') })
    const garbled = await serve((asked, send) => send(reply(asked, { answers: [addressRecord(asked.name, '192.0.2.1')] }).subarray(0, -3)))
    await expect(resolve('a.test', system([garbled.port]))).rejects.toMatchObject({ code: 'resolve_other' })
  })

  it('goes on to the next one when one has nothing to say and does not look elsewhere', async () => {
    const lame = await serve((asked, send) => {
      const packet = reply(asked)
      packet.writeUInt16BE(0x8100, 2)
      send(packet)
    })
    const knowing = await zone({ 'a.test': ['192.0.2.1'] })
    expect(await ips('a.test', system([lame.port, knowing.port]))).toEqual(['192.0.2.1'])
    await expect(resolve('a.test', system([lame.port]))).rejects.toMatchObject({ code: 'resolve_other' })
  })

  it('skips answers with a wrong id or to another question', async () => {
    const noisy = await serve((asked, send) => {
      send(reply(asked, { id: asked.id ^ 1, rcode: 3 }))
      send(reply(asked, { questions: [{ name: 'evil.test', type: 'A' }], rcode: 3 }))
      send(Buffer.from('garbage'))
      send(reply(asked, { answers: [addressRecord(asked.name, '192.0.2.1')] }))
    })
    expect(await ips('a.test', system([noisy.port]), { ipProtocol: 'ip4' })).toEqual(['192.0.2.1'])
    const wrong = await serve((asked, send) => send(reply(asked, { id: asked.id ^ 1 })))
    await expect(resolve('a.test', system([wrong.port], { timeoutMs: 100, attempts: 1 }))).rejects.toMatchObject({ code: 'resolve_timeout' })
  })

  it('asks again over TCP when the answer was cut off', async () => {
    const script: Script = (asked, send) => asked.via === 'udp'
      ? send(reply(asked, { truncated: true }))
      : send(reply(asked, { answers: [addressRecord(asked.name, '192.0.2.1')] }))
    const server = await serve(script)
    expect(await ips('a.test', system([server.port]), { ipProtocol: 'ip4' })).toEqual(['192.0.2.1'])
    const udpOnly = await serve(script, { tcp: false })
    await expect(resolve('a.test', system([udpOnly.port]))).rejects.toMatchObject({ code: 'resolve_timeout' })
  })
})

describe('trouble of our own', () => {
  // Without SO_BROADCAST the kernel refuses this broadcast address with EACCES, as a packet filter or a route would another one.
  const forbidden = { ip: '127.255.255.255', port: 53 }

  it('asks the next server when this machine does not let us ask the first', async () => {
    const good = await zone({ 'a.test': ['192.0.2.1'] })
    expect(await ips('a.test', { ...system([]), servers: [forbidden, { ip: '127.0.0.1', port: good.port }] })).toEqual(['192.0.2.1'])
  })

  it('blames nobody when this machine let us ask only servers that are silent', async () => {
    const dead = await silent()
    await expect(resolve('a.test', { ...system([]), servers: [forbidden, { ip: '127.0.0.1', port: dead.port }], timeoutMs: 100 })).rejects.toMatchObject({ code: 'EACCES' })
  })

  it('rejects at once with the reason of the abort, and leaves nothing behind', async () => {
    const held = () => getActiveResourcesInfo().filter((name) => /UDP|TCPSocketWrap|Timeout/.test(name)).length
    const dead = await silent()
    const before = held()
    const stop = new AbortController()
    const running = resolve('a.test', system([dead.port]), { signal: stop.signal })
    await eventually(() => dead.asked.length === 2)
    stop.abort(new Error('enough'))
    await expect(running).rejects.toThrow('enough')
    await eventually(() => held() <= before)
    await expect(resolve('192.0.2.1', system([dead.port]), { signal: stop.signal })).rejects.toThrow('enough')
  })

  it('does not blame anybody when file descriptors run out', async () => {
    const script = `
      const { openSync } = await import('node:fs')
      const { resolveHost } = await import(${JSON.stringify(new URL('../../../src/probes/lib/resolve.ts', import.meta.url).href)})
      const system = { servers: [{ ip: '127.0.0.1', port: 1 }], search: [], ndots: 1, timeoutMs: 500, attempts: 1, hosts: new Map() }
      process.exitCode = 1
      try { for (;;) openSync('/dev/null') } catch {}
      try { await resolveHost('a.test', { ipProtocol: 'any', signal: new AbortController().signal, system }) }
      catch (error) { process.stdout.write(error.name + ' ' + error.code) }`
    const child = promisify(execFile)('/bin/sh', ['-c', 'ulimit -n 64; exec "$0" --input-type=module -e "$1"', process.execPath, script])
    const output = await child.then(({ stdout }) => stdout, (error: { stdout: string }) => error.stdout)
    expect(output).toBe('Error EMFILE')
  })
})
