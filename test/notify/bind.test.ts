import { createServer as createTlsServer } from 'node:https'
import { createServer } from 'node:http'
import { TLSSocket } from 'node:tls'
import { afterEach, expect, it } from 'vitest'
import { bindChannel } from '../../src/notify/bind.ts'
import { notifySchema } from '../../src/notify/options.ts'
import { get, post } from '../../src/notify/wire.ts'
import { makeCertificates } from '../support/certificates.ts'
import { httpProxy } from '../support/http-proxy.ts'
import { createOwner } from '../support/owner.ts'
import { listening } from '../support/tcp.ts'

const owner = createOwner()
afterEach(() => owner.end())

const bound = (more: object, env: NodeJS.ProcessEnv = {}) => {
  const [channel] = notifySchema.parse({ allow_unauthenticated: true, channels: [{ name: 'ops', type: 'webhook', url: 'http://chat.test/', secret: 'a-secret-that-is-long-enough', ...more }], routes: [{ channel: 'ops' }] }).channels
  return bindChannel(channel!, env)
}
const chat = () => owner.opened(listening(createServer((request, response) => { request.resume().on('end', () => response.end('ok')) })))
const send = (url: string, channel: ReturnType<typeof bound>, allowPrivate = true) => post({ url, headers: {}, body: '{}' }, { ...channel.way(url), allowPrivate })

it('goes through the proxy of the channel, logs in there, and past it where no_proxy says so', async () => {
  const [service, proxy] = [await chat(), await owner.opened(httpProxy({ login: 'ann:p@ss:word' }))]
  const channel = bound({ proxy_url: `http://ann:p%40ss%3Aword@${proxy.at}`, no_proxy: '127.0.0.1' })
  expect(await send(`http://chat.test:${service.port}/`, channel)).toMatchObject({ status: 200, body: 'ok' })
  expect(proxy.requests.map(({ line }) => line)).toEqual([`POST http://chat.test:${service.port}/`])
  expect(await send(`http://127.0.0.1:${service.port}/`, channel)).toMatchObject({ status: 200 })
  expect(proxy.requests).toHaveLength(1)
  // What goes past the proxy is looked at as ever.
  await expect(send(`http://127.0.0.1:${service.port}/`, channel, false)).rejects.toMatchObject({ reason: 'private_destination' })
})

it('takes the proxies of the environment only where it is told to', async () => {
  const [service, proxy] = [await chat(), await owner.opened(httpProxy())]
  const env = { http_proxy: proxy.at }
  expect(await send(`http://chat.test:${service.port}/`, bound({ proxy_from_environment: true }, env))).toMatchObject({ status: 200 })
  expect(proxy.requests).toHaveLength(1)
  await expect(send(`http://chat.test:${service.port}/`, bound({}, env))).rejects.toMatchObject({ reason: 'network' })
})

it('shows its own certificate and trusts the authorities that it is told', async () => {
  const { caFile, ca, good, client } = makeCertificates()
  const names: unknown[] = []
  const server = await owner.opened(listening(createTlsServer({ cert: good.cert, key: good.key, ca: [ca.cert], requestCert: true, rejectUnauthorized: true }, (request, response) => {
    if (request.socket instanceof TLSSocket) names.push(request.socket.getPeerCertificate().subject.CN)
    response.end('ok')
  })))
  const url = `https://localhost:${server.port}/`
  expect(await send(url, bound({ ca_file: caFile, cert_file: client.certFile, key_file: client.keyFile }))).toMatchObject({ status: 200 })
  expect(names).toHaveLength(1)
  await expect(send(url, bound({ ca_file: caFile }))).rejects.toMatchObject({ reason: expect.stringMatching(/tls|network/) })
  await expect(send(url, bound({ cert_file: client.certFile, key_file: client.keyFile }))).rejects.toMatchObject({ reason: 'tls' })
  await expect(send(url, bound({ ca_file: '/nonexistent' }))).rejects.toMatchObject({ reason: 'tls', message: expect.stringContaining('/nonexistent') })
  await expect(get(url, {}, { timeoutMs: 1_000, allowPrivate: true, caFile: caFile, certFile: client.certFile, keyFile: client.keyFile })).resolves.toMatchObject({ status: 200 })
})
