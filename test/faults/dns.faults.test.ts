import { afterAll, beforeAll, describe } from 'vitest'
import { makeCertificates } from '../support/certificates.ts'
import { addressRecord, reply, scriptedDns, startNamed, startUnbound, type Script, type ScriptedDns } from '../support/dns-servers.ts'
import { freePort, temporaryDirectory } from '../support/process.ts'
import { checkAll, ownRows, tally } from './own-row.ts'
import { failed, faultTable, ok, type Entry, type Trial } from './table.ts'

const certificates = makeCertificates()
let unbound: Awaited<ReturnType<typeof startUnbound>>
let named: Awaited<ReturnType<typeof startNamed>>
const scripted: ScriptedDns[] = []

beforeAll(async () => {
  const { path } = temporaryDirectory()
  const { certFile: cert, keyFile: key } = certificates.expired
  ;[unbound, named] = await Promise.all([startUnbound(path, { cert, key }), startNamed(path)])
})
afterAll(() => Promise.all([unbound.stop(), named.stop(), ...scripted.map((server) => server.close())]))

/** A question to a real server. */
const asking = (query: string, more: Entry = {}) => (): Trial => ({ probe: { type: 'dns', target: `127.0.0.1:${unbound.port}`, query, ...more } })

/** A question to a server that misbehaves. */
const astray = (script: Script, more: Entry = {}, { tcp = true } = {}) => async (): Promise<Trial> => {
  const server = await scriptedDns(script, { tcp })
  scripted.push(server)
  return { probe: { type: 'dns', target: `127.0.0.1:${server.port}`, query: 'ok.test', timeout: '1s', ...more } }
}

const slowly: Script = (asked, send) => { setTimeout(() => send(reply(asked, { answers: [addressRecord(asked.name, '192.0.2.1')] })), 600) }

describe('dns', () => {
  faultTable('dns', [
    { fault: 'the name does not exist', make: asking('nx.test'), expected: failed('request', 'not_found', 'dns_nxdomain', { probe_dns_answer_rrs: 0 }) },
    { fault: 'its upstream is dead: SERVFAIL', make: asking('servfail.test', { timeout: '5s' }), expected: failed('request', 'other', 'dns_servfail') },
    { fault: 'it does not serve us: REFUSED', make: asking('refused.test'), expected: failed('request', 'denied', 'dns_refused') },
    { fault: 'a zone that does not load', make: () => ({ probe: { type: 'dns', target: `127.0.0.1:${named.port}`, query: 'www.broken.test' } }), expected: failed('request', 'other', 'dns_servfail') },
    { fault: 'it does not answer', make: asking('drop.test', { timeout: '1s' }), expected: failed('request', 'timeout', 'request_timeout') },
    { fault: 'nothing listens', make: async () => ({ probe: { type: 'dns', target: `127.0.0.1:${await freePort()}`, query: 'ok.test' } }), expected: failed('connect', 'refused', 'connect_refused') },
    { fault: 'the answer has another id', make: astray((asked, send) => send(reply({ ...asked, id: asked.id ^ 1 }))), expected: failed('request', 'protocol', 'dns_wrong_id') },
    { fault: 'the answer is to another question', make: astray((asked, send) => send(reply({ ...asked, name: 'other.test' }))), expected: failed('request', 'protocol', 'dns_wrong_question') },
    { fault: 'the answer is no DNS', make: astray((_asked, send) => send(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))), expected: failed('request', 'protocol', 'dns_garbage') },
    { fault: 'the answer is cut, and TCP is closed', make: astray((asked, send) => send(reply(asked, { truncated: true })), {}, { tcp: false }), expected: failed('connect', 'unavailable', 'dns_truncated_tcp_failed') },
    { fault: 'an empty answer', make: asking('nodata.test'), expected: failed('assert', 'mismatch', 'dns_too_few_answers', { probe_dns_answer_rrs: 0 }) },
    { fault: 'another value than expected', make: asking('ok.test', { answers: ['^198\\.51\\.100\\.'] }), expected: failed('assert', 'mismatch', 'dns_wrong_value') },
    { fault: 'it is slow', make: astray(slowly), expected: ok({ duration_seconds: [0.6, 1] }) },
    { fault: 'DNS over TLS with an expired certificate', make: () => ({ probe: { type: 'dns', target: `127.0.0.1:${unbound.tlsPort}`, query: 'ok.test', transport: 'dot', ca_file: certificates.caFile, server_name: 'localhost' } }), expected: failed('tls', 'expired', 'tls_expired') },
  ])
  ownRows('dns', [
    { fault: 'of two servers one is slow, and fail_on names that', expected: '1 ok, 1 failed assert/mismatch limit_exceeded', async look() {
      const slow = await scriptedDns(slowly)
      scripted.push(slow)
      return tally(await checkAll([{ name: 'fault', type: 'dns', targets: [unbound, slow].map(({ port }) => `127.0.0.1:${port}`), query: 'ok.test', timeout: '2s', every: '1m', limits: { duration: { critical: 0.3 } }, fail_on: ['duration'] }]))
    } },
  ])
})
