import { describe, expect, it } from 'vitest'
import type { Finding, RouteEnding, Step, StepName } from '../../src/core/diagnosis.ts'
import type { Failure, Layer, Reason } from '../../src/core/result.ts'
import { factsOf, verdictOf } from '../../src/diagnose/verdict.ts'
import { diagnosisSentence } from '../../src/words/diagnosis.ts'

const failure = (layer: Layer, reason: Reason, code = `${layer}_${reason}`): Failure => ({ layer, reason, code, message: 'said so' })
const step = (name: StepName, ...findings: Finding[]): Step => {
  const bad = findings.filter((one) => 'failure' in one && one.failure)
  return { step: name, status: bad.length === findings.length ? 'failed' : bad.length > 0 ? 'partly' : 'ok', seconds: 0.1, findings }
}

const server = (ip: string, reason?: 'not_found' | 'timeout'): Finding => ({ kind: 'name_server', host: 'db-1', server: ip, seconds: 0.1, addresses: reason ? [] : ['10.0.0.5'], ...(reason ? { failure: failure('resolve', reason) } : {}) })
const ping = (received: number, by: Layer = 'network'): Finding => ({ kind: 'ping', address: '10.0.0.5', sent: 2, received, ...(received > 0 ? { rtt_seconds: 0.0004 } : { failure: failure(by, by === 'prober' ? 'denied' : 'timeout') }) })
const connection = (address: string, reason?: Reason, layer: Layer = 'connect'): Finding => ({ kind: 'connection', address, port: 3306, seconds: 0.1, ...(reason ? { failure: failure(layer, reason) } : {}) })
const route = (end: RouteEnding, hops = ['10.0.1.1']): Finding => ({ kind: 'route', address: '10.0.0.5', protocol: 'icmp', age_seconds: 0, hops: hops.map((address, index) => ({ ttl: index + 1, address })), end })

const FOUND = step('resolve', server('10.0.0.2'))
const dropped = failure('connect', 'timeout')

describe('a diagnosis', () => {
  it.each<[string, Failure | undefined, readonly Step[], string, StepName | undefined, RegExp]>([
    ['is well', undefined, [FOUND, step('ping', ping(2)), step('connect', connection('10.0.0.5'))], 'well', undefined, /^db-1 is well/],
    ['is well where pings are forbidden', undefined, [FOUND, step('ping', ping(0))], 'well_without_ping', undefined, /does not answer ping/],
    ['is well where we may not ping', undefined, [FOUND, step('ping', ping(0, 'prober'))], 'well', undefined, /every layer/],
    ['is well, but one of two name servers is silent', undefined, [step('resolve', server('10.0.0.2'), server('10.0.0.3', 'timeout'))], 'well_but', undefined, /name server 10\.0\.0\.3 does not answer: clients/],
    ['is well, but one of two addresses is dead', undefined, [FOUND, step('connect', connection('10.0.0.5'), connection('10.0.0.6', 'timeout'))], 'well_but', undefined, /address 10\.0\.0\.6 does not connect/],
    ['is well, but two name servers are silent and two addresses are dead', undefined, [step('resolve', server('10.0.0.2'), server('10.0.0.3', 'timeout'), server('10.0.0.4', 'timeout')), step('connect', connection('10.0.0.5'), connection('10.0.0.6', 'timeout'), connection('10.0.0.7', 'refused'))], 'well_but', undefined, /the name servers 10\.0\.0\.3 and 10\.0\.0\.4 do not answer, and the addresses 10\.0\.0\.6 and 10\.0\.0\.7 do not connect: clients that come to them wait or fail\.$/],
    ['a firewall drops the port', dropped, [FOUND, step('ping', ping(2)), step('connect', connection('10.0.0.5', 'timeout'))], 'port_dropped', 'connect', /^db-1 answers ping, but port 3306 drops packets: look for a firewall rule or a security group\.$/],
    ['nobody is there', dropped, [FOUND, step('ping', ping(0)), step('connect', connection('10.0.0.5', 'timeout'))], 'host_gone', 'ping', /answers neither ping nor port 3306/],
    ['nobody is there, and we may not ping', dropped, [FOUND, step('ping', ping(0, 'prober')), step('connect', connection('10.0.0.5', 'timeout'))], 'code', 'connect', /^db-1: Packets to the port are dropped/],
    ['a router says no', failure('network', 'unreachable'), [FOUND, step('ping', ping(0)), step('connect', connection('10.0.0.5', 'unreachable', 'network')), step('route', route({ kind: 'unreachable', hop: 1, address: '10.0.1.1' }))], 'route_ends', 'route', /get lost on the way: 10\.0\.1\.1 \(hop 1\) says that it cannot reach it\./],
    ['routers send packets round in a circle', dropped, [FOUND, step('ping', ping(0)), step('connect', connection('10.0.0.5', 'timeout')), step('route', route({ kind: 'loop', between: ['10.0.1.1', '10.0.2.1'] }))], 'route_ends', 'route', /10\.0\.1\.1 and 10\.0\.2\.1 send them round in a circle\. Look at the routes of these two\.$/],
    ['not even the first hop answers', dropped, [FOUND, step('ping', ping(0)), step('connect', connection('10.0.0.5', 'timeout')), step('route', route({ kind: 'silent' }, []))], 'host_gone', 'ping', /neither/],
    ['nothing listens', failure('connect', 'refused'), [FOUND, step('ping', ping(2)), step('connect', connection('10.0.0.5', 'refused'))], 'port_closed', 'connect', /is up, but nothing listens on port 3306/],
    ['one of two addresses refuses', failure('connect', 'refused'), [FOUND, step('connect', connection('10.0.0.5'), connection('10.0.0.6', 'refused'))], 'some_addresses_dead', 'connect', /10\.0\.0\.6 does not connect, while 10\.0\.0\.5 does/],
    ['nothing listened, but something does now', failure('connect', 'refused'), [FOUND, step('connect', connection('10.0.0.5')), step('operation')], 'code', 'operation', /^db-1: The host is up, but nothing listens/],
    ['packets were dropped, but at another host that an answer led to', dropped, [FOUND, step('ping', ping(2)), step('connect', connection('10.0.0.5'))], 'code', 'operation', /^db-1: Packets to the port are dropped/],
    ['a firewall rejects the port', failure('network', 'unreachable'), [FOUND, step('ping', ping(2)), step('connect', connection('10.0.0.5', 'unreachable', 'network'))], 'port_rejected', 'connect', /^db-1 answers ping, but packets to port 3306 are turned back/],
    ['one of two addresses is unreachable', failure('network', 'unreachable'), [FOUND, step('ping', ping(2)), step('connect', connection('10.0.0.5'), connection('10.0.0.6', 'unreachable', 'network'))], 'some_addresses_dead', 'connect', /10\.0\.0\.6 does not connect/],
    ['the name does not exist', failure('resolve', 'not_found'), [step('resolve', server('10.0.0.2', 'not_found'), server('10.0.0.3', 'not_found'))], 'name_missing', 'resolve', /^All name servers \(10\.0\.0\.2 and 10\.0\.0\.3\) say that db-1 does not exist/],
    ['the name servers disagree', failure('resolve', 'not_found'), [step('resolve', server('10.0.0.2', 'not_found'), server('10.0.0.3'))], 'name_disputed', 'resolve', /10\.0\.0\.2 denies that db-1 exists, 10\.0\.0\.3 knows it/],
    ['no name server answers', failure('resolve', 'timeout'), [step('resolve', server('10.0.0.2', 'timeout'))], 'servers_silent', 'resolve', /the name server 10\.0\.0\.2 does not answer/],
    ['the login is refused', failure('auth', 'denied', 'db_1045'), [FOUND, step('connect', connection('10.0.0.5'))], 'code', 'login', /^db-1: Wrong password\.$/],
    ['the code is not known here', failure('request', 'loading', 'db_of_tomorrow'), [FOUND], 'code', 'operation', /^db-1: The request came while the server was loading\.$/],
  ])('%s', (_name, failed, steps, verdict, broken, sentence) => {
    const facts = factsOf({ host: 'db-1', reached: 'db-1', target: 'db-1:3306', port: 3306 }, steps)
    const said = failed ? { status: 'failed' as const, failure: failed } : { status: 'ok' as const }
    const found = verdictOf(said, steps, facts)
    expect([found.verdict, found.broken]).toEqual([verdict, broken])
    const codes = { db_1045: { reason: 'denied' as const, en: 'Wrong password.', zh: '密码错误。' } }
    expect(diagnosisSentence({ ...said, ...found, facts }, codes, 'en')).toMatch(sentence)
    expect(diagnosisSentence({ ...said, ...found, facts }, codes, 'zh')).toMatch(/db-1.*[\u4e00-\u9fff]/)
  })

  it('accuses nobody for our own trouble', () => {
    const steps = [FOUND, step('connect', connection('10.0.0.5', 'overloaded', 'prober'))]
    const facts = factsOf({ host: 'db-1', reached: 'db-1', target: 'db-1:3306', port: 3306 }, steps)
    const said = { status: 'unknown' as const, failure: failure('prober', 'overloaded', 'prober_no_files') }
    expect(verdictOf(said, steps, facts)).toEqual({ verdict: 'ours' })
    expect(facts.dead).toEqual([])
    expect(diagnosisSentence({ ...said, verdict: 'ours', facts }, {}, 'en')).toBe("This is Curlew's own trouble and says nothing about db-1. Curlew ran out of file descriptors: raise the nofile limit.")
  })
})
