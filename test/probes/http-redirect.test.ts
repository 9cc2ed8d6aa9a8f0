import type { RequestListener } from 'node:http'
import { afterAll, describe, expect, it } from 'vitest'
import { http } from '../../src/probes/http.ts'
import { makeCertificates, type Pair } from '../support/certificates.ts'
import { httpServer, type HttpTestServer } from '../support/http-servers.ts'
import { eventually } from '../support/process.ts'
import type { TestServer } from '../support/tcp.ts'
import { gaugeOf, probeOnce } from './contract.ts'

const certificates = makeCertificates()
const servers: TestServer[] = []
const serve = async (answer: RequestListener, tls?: { pair: Pair }): Promise<HttpTestServer> => {
  const server = await httpServer(answer, tls)
  servers.push(server)
  return server
}
afterAll(async () => { for (const server of servers) await server.close() })

const probe = (target: string, entry: Record<string, unknown> = {}) => probeOnce(http, { target, ip_protocol: 'ip4', ...entry })
const secureProbe = (target: string, entry: Record<string, unknown> = {}) => probe(target, { ca_file: certificates.caFile, ...entry })
const failed = (layer: string, reason: string, code: string) => ({ status: 'failed', failure: { layer, reason, code } })

describe('http: redirects', () => {
  const redirect = (to: (path: string) => string | undefined, status = 302) => serve((request, response) => {
    const location = to(request.url ?? '')
    response.writeHead(location === undefined ? 200 : status, location === undefined ? {} : { Location: location }).end('page')
  })

  it('are followed, relative and absolute ones, and counted', async () => {
    const server = await redirect((path) => ({ '/': 'a', '/a': '/b?x=1' })[path])
    const result = await probe(server.url)
    expect(result).toMatchObject({ status: 'ok' })
    expect(server.requests.map(({ path }) => path)).toEqual(['/', '/a', '/b?x=1'])
    expect(gaugeOf(result, 'probe_http_redirects')).toBe(2)
    expect(result.gauges.filter(({ name }) => name === 'probe_ip_protocol')).toHaveLength(1)
    await eventually(() => server.open() === 0)
  })

  it('are not followed when that is not wanted or the status is expected by its number', async () => {
    const server = await redirect((path) => (path === '/' ? '/there' : undefined), 301)
    expect(await probe(server.url, { follow_redirects: false })).toMatchObject(failed('assert', 'mismatch', 'http_status_unexpected'))
    expect(await probe(server.url, { status: [301] })).toMatchObject({ status: 'ok' })
    expect(await probe(server.url, { follow_redirects: false, status: ['3xx'], header_matches: [{ header: 'Location', pattern: '^/there$' }] })).toMatchObject({ status: 'ok' })
    expect(server.requests.map(({ path }) => path)).toEqual(['/', '/', '/'])
  })

  it('end after ten', async () => {
    const server = await redirect((path) => `${path}x`)
    const result = await probe(server.url)
    expect(result).toMatchObject(failed('assert', 'mismatch', 'http_redirect_loop'))
    expect(server.requests).toHaveLength(11)
    expect(gaugeOf(result, 'probe_http_redirects')).toBe(11)
  })

  it('keep or change the method as the status says', async () => {
    for (const [status, method, body] of [[301, 'GET', ''], [302, 'GET', ''], [303, 'GET', ''], [307, 'POST', 'data'], [308, 'POST', 'data']] as const) {
      const server = await redirect((path) => (path === '/' ? '/next' : undefined), status)
      expect(await probe(server.url, { method: 'POST', body: 'data' })).toMatchObject({ status: 'ok' })
      expect(server.requests[1]).toMatchObject({ method, body })
    }
  })

  it('lead to another host without credentials, cookies and client certificate, and back without them', async () => {
    const secrets = { basic_auth: { username: 'prober', password: 'correct horse' }, secret_headers: { 'X-Api-Key': 'k3y-of-ours' }, headers: { 'X-Plain': 'yes' }, host_header: 'shop.test' }
    const home = await serve((request, response) => {
      if (request.url === '/back') response.end('home')
      else response.writeHead(302, { Location: `http://localhost:${away.port}/away`, 'Set-Cookie': 'session=1' }).end()
    })
    const away: HttpTestServer = await serve((_request, response) => { response.writeHead(302, { Location: `${home.url}/back` }).end() })
    expect(await probe(home.url, secrets)).toMatchObject({ status: 'ok' })
    expect(home.requests[0]?.headers).toMatchObject({ authorization: `Basic ${Buffer.from('prober:correct horse').toString('base64')}`, 'x-api-key': 'k3y-of-ours', host: 'shop.test' })
    for (const { headers } of [...away.requests, ...home.requests.slice(1)]) {
      expect(headers).not.toHaveProperty('authorization')
      expect(headers).not.toHaveProperty('x-api-key')
      expect(headers).toMatchObject({ 'x-plain': 'yes' })
    }
    expect(away.requests).toHaveLength(1)
    expect(away.requests[0]?.headers).toMatchObject({ host: `localhost:${away.port}` })
    expect(away.requests[0]?.headers).not.toHaveProperty('cookie')
    expect(home.requests[1]?.headers).toMatchObject({ host: `127.0.0.1:${home.port}`, cookie: 'session=1' })
  })

  it('keep credentials and cookies on the same host', async () => {
    const server = await serve((request, response) => {
      if (request.headers.cookie?.includes('seen=yes')) response.end('in')
      else response.writeHead(302, { Location: '/', 'Set-Cookie': ['seen=yes; Path=/; HttpOnly', 'only=tls; Secure'] }).end()
    })
    expect(await probe(server.url, { bearer_token: 'a-token-of-ours', secret_headers: { Cookie: 'mine=1' } })).toMatchObject({ status: 'ok' })
    expect(server.requests[1]?.headers).toMatchObject({ authorization: 'Bearer a-token-of-ours', cookie: 'mine=1; seen=yes' })
  })

  it('lead to another port of the same host without credentials', async () => {
    const other = await serve((_request, response) => response.end('page'))
    const server = await redirect(() => other.url)
    expect(await probe(server.url, { bearer_token: 'a-token-of-ours', secret_headers: { 'X-Api-Key': 'k3y-of-ours' } })).toMatchObject({ status: 'ok' })
    expect(server.requests[0]?.headers).toHaveProperty('authorization')
    for (const name of ['authorization', 'x-api-key']) expect(other.requests[0]?.headers).not.toHaveProperty(name)
  })

  it('lead from http to https, and the last connection is what the gauges show', async () => {
    const secure = await serve((_request, response) => { response.end('x') }, { pair: certificates.good })
    const plain = await serve((_request, response) => { response.writeHead(301, { Location: secure.url }).end() })
    const result = await secureProbe(plain.url, { fail_if_not_ssl: true })
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_http_ssl')).toBe(1)
    const back = await serve((_request, response) => { response.writeHead(301, { Location: plain.url.replace('127.0.0.1', 'localhost') }).end() }, { pair: certificates.chain })
    const twice = await secureProbe(back.url)
    expect(twice.gauges.filter(({ name }) => name === 'probe_ssl_last_chain_info')).toHaveLength(1)
  })

  it.each(['ftp://127.0.0.1/', 'javascript:alert(1)', 'http://'])('to %s are no redirects', async (location) => {
    expect(await probe((await redirect(() => location)).url)).toMatchObject(failed('request', 'protocol', 'http_protocol'))
  })

  it('do not lead further inside than the target', async () => {
    const result = await probe((await redirect(() => 'http://169.254.169.254/latest/meta-data')).url)
    expect(result).toMatchObject(failed('request', 'denied', 'http_redirect_refused'))
  })
})
