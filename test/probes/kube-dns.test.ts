import { afterAll, describe, expect, it } from 'vitest'
import { readEntry, readTarget } from '../../src/config/jobs.ts'
import { kubeDns } from '../../src/probes/kube-dns.ts'
import { addressRecord, reply, scriptedDns, type Asked, type Script } from '../support/dns-servers.ts'
import { freePort } from '../support/process.ts'
import { declarationContract, gaugeOf, jobOf, probeOnce } from './contract.ts'

declarationContract(kubeDns)

const API = 'kubernetes.default.svc.cluster.local'
const running: { close(): Promise<void> }[] = []
afterAll(async () => { for (const server of running) await server.close() })

/** A cluster's DNS server as it should be; `over` answers instead where it returns a packet, and stays silent where it returns null. */
const coreDns = (over: (asked: Asked, count: number) => Buffer | null | undefined = () => undefined): Script => {
  const counts = new Map<string, number>()
  return (asked, send) => {
    const count = (counts.get(asked.name) ?? 0) + 1
    counts.set(asked.name, count)
    const answer = over(asked, count)
    if (answer === null) return
    send(answer ?? (asked.name === API || asked.name === 'example.org' ? reply(asked, { answers: [addressRecord(asked.name, '10.96.0.1')] }) : reply(asked, { rcode: 3 })))
  }
}
const against = async (script: Script, entry: Record<string, unknown> = {}) => {
  const server = await scriptedDns(script)
  running.push(server)
  return { server, result: await probeOnce(kubeDns, { target: `127.0.0.1:${server.port}`, ...entry }) }
}
const failure = (code: string, layer: string, reason: string) => ({ status: 'failed', failure: { code, layer, reason } })
const isMiss = ({ name }: Asked) => name.startsWith('curlew-')

describe('options', () => {
  it('reads an address and a URL of its own', () => {
    expect(jobOf(kubeDns, { target: '10.244.0.3' }).target).toBe('10.244.0.3:53')
    expect(readTarget(kubeDns, 'kube-dns://10.244.0.3?external=example.org')).toEqual({ target: '10.244.0.3', external: 'example.org' })
    expect(() => readTarget(kubeDns, 'kube-dns://me@h')).toThrow('no user')
    expect(() => readTarget(kubeDns, 'kube-dns://h/name')).toThrow('without a path')
    expect(readEntry(kubeDns, { name: 'it', type: 'kube-dns', target: 'a', domain: 'a..b', external: 'a b' }).issues.map(({ path }) => path.join('.')).toSorted()).toEqual(['domain', 'external'])
  })
})

describe('a server that is well', () => {
  it('answers from memory, from what it knows, and from an upstream: each timed apart', async () => {
    const { server, result } = await against(coreDns(), { external: 'example.org' })
    expect(result.status).toBe('ok')
    expect(result.phases.map(({ name }) => name)).toEqual(['resolve', 'request', 'miss', 'forward', 'forward_hit'])
    expect(server.asked.map(({ name }) => name)).toEqual([API, expect.stringMatching(/^curlew-[0-9a-f]{12}\.default\.svc\.cluster\.local$/), 'example.org', 'example.org'])
    expect(['request', 'miss', 'forward', 'forward_hit'].map((question) => gaugeOf(result, 'probe_kube_dns_rcode', { question }))).toEqual([0, 3, 0, 0])
  })

  it('is asked for nothing outside unless told, and for another name at each run', async () => {
    const server = await scriptedDns(coreDns())
    running.push(server)
    for (let run = 0; run < 2; run++) expect((await probeOnce(kubeDns, { target: `127.0.0.1:${server.port}` })).status).toBe('ok')
    expect(server.asked).toHaveLength(4)
    expect(server.asked[1]!.name).not.toBe(server.asked[3]!.name)
  })

  it('may serve IPv6 alone, and another domain', async () => {
    const script = coreDns((asked) => (isMiss(asked) ? undefined : reply(asked, { answers: asked.type === 'AAAA' ? [addressRecord(asked.name, 'fd00::1')] : [] })))
    const { server, result } = await against(script, { domain: 'room-a.example' })
    expect(result.status).toBe('ok')
    expect(server.asked[0]!.name).toBe('kubernetes.default.svc.room-a.example')
    expect(result.gauges.filter(({ name, labels }) => name === 'probe_kube_dns_rcode' && labels?.['question'] === 'request')).toHaveLength(1)
  })

  it('is asked over TCP for what does not fit', async () => {
    const { server, result } = await against(coreDns((asked) => (asked.via === 'udp' && asked.name === API ? reply(asked, { truncated: true }) : undefined)))
    expect(result.status).toBe('ok')
    expect(server.asked.map(({ via }) => via)).toEqual(['udp', 'tcp', 'udp'])
  })
})

describe('a server that is not well', () => {
  it.each([
    [3, 'kube_dns_no_kubernetes', 'request', 'not_found'], [2, 'kube_dns_servfail', 'request', 'unavailable'], [5, 'kube_dns_refused', 'request', 'refused'],
    [4, 'kube_dns_other', 'request', 'other'], [0, 'kube_dns_no_address', 'assert', 'mismatch'],
  ])('answers %i for the name of the API', async (rcode, code, layer, reason) => {
    expect((await against(coreDns((asked) => reply(asked, { rcode })))).result).toMatchObject(failure(code, layer, reason))
  })

  it('fails for a name that nobody has: what it answers from memory says nothing of it', async () => {
    const { result } = await against(coreDns((asked) => (isMiss(asked) ? reply(asked, { rcode: 2 }) : undefined)))
    expect(result).toMatchObject(failure('kube_dns_servfail', 'request', 'unavailable'))
    const { result: wild } = await against(coreDns((asked) => (isMiss(asked) ? reply(asked, { answers: [addressRecord(asked.name, '192.0.2.1')] }) : undefined)))
    expect(wild).toMatchObject(failure('kube_dns_wildcard', 'assert', 'mismatch'))
  })

  it('cannot look outside, which is the upstreams\' fault', async () => {
    const outside = (answer: (asked: Asked) => Buffer | null) => coreDns((asked) => (asked.name === 'example.org' ? answer(asked) : undefined))
    const { result } = await against(outside((asked) => reply(asked, { rcode: 2 })), { external: 'example.org' })
    expect(result).toMatchObject(failure('kube_dns_forward_failed', 'request', 'unavailable'))
    expect(gaugeOf(result, 'probe_kube_dns_rcode', { question: 'forward' })).toBe(2)
    expect((await against(outside((asked) => reply(asked, { rcode: 3 })), { external: 'example.org' })).result).toMatchObject(failure('kube_dns_forward_not_found', 'request', 'not_found'))
    const { result: silent } = await against(outside(() => null), { external: 'example.org', timeout: '400ms' })
    expect(silent).toMatchObject(failure('kube_dns_forward_timeout', 'request', 'timeout'))
  })

  it('does not answer, or nobody is there', async () => {
    expect((await against(coreDns(() => null), { timeout: '300ms' })).result).toMatchObject(failure('request_timeout', 'request', 'timeout'))
    expect(await probeOnce(kubeDns, { target: `127.0.0.1:${await freePort()}` })).toMatchObject(failure('connect_refused', 'connect', 'refused'))
    expect((await against((_asked, send) => send(Buffer.from('garbage')), { timeout: '300ms' })).result).toMatchObject(failure('dns_garbage', 'request', 'protocol'))
  })

  it('stops at once when asked to, and accuses nobody', async () => {
    const server = await scriptedDns(coreDns(() => null))
    running.push(server)
    const stop = new AbortController()
    const result = probeOnce(kubeDns, { target: `127.0.0.1:${server.port}` }, stop.signal)
    setTimeout(() => stop.abort(), 20)
    expect(await result).toMatchObject({ status: 'unknown', failure: { code: 'prober_aborted' } })
  })
})
