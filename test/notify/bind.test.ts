import { createServer as createTlsServer } from 'node:https'
import { createServer } from 'node:http'
import { createServer as createSocketServer, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { afterEach, expect, it } from 'vitest'
import { bindChannel } from '../../src/notify/bind.ts'
import { notifySchema } from '../../src/notify/options.ts'
import { get, post } from '../../src/notify/wire.ts'
import { makeCertificates } from '../support/certificates.ts'
import { httpProxy } from '../support/http-proxy.ts'
import { createOwner } from '../support/owner.ts'
import { eventually } from '../support/process.ts'
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
  await expect(send(url, bound({ cert_file: client.certFile, key_file: client.keyFile }))).rejects.toMatchObject({ reason: 'tls', message: expect.stringMatching(/; ca_file names the authorities that a channel trusts$/) })
  await expect(send(url, bound({ ca_file: '/nonexistent' }))).rejects.toMatchObject({ reason: 'tls', message: expect.stringContaining('/nonexistent') })
  await expect(get(url, {}, { timeoutMs: 1_000, allowPrivate: true, caFile: caFile, certFile: client.certFile, keyFile: client.keyFile })).resolves.toMatchObject({ status: 200 })
})

it.each([
  ['that is none', (of: ReturnType<typeof makeCertificates>) => ({ cert_file: of.client.keyFile, key_file: of.client.keyFile }), 'cert_file: expected certificates in PEM form'],
  ['of another key', (of: ReturnType<typeof makeCertificates>) => ({ cert_file: of.client.certFile, key_file: of.good.keyFile }), 'key_file: expected the private key of the certificate'],
  ['authority that is none', (of: ReturnType<typeof makeCertificates>) => ({ ca_file: of.client.keyFile }), 'ca_file: expected certificates in PEM form'],
])('names the file of a certificate %s, with a proxy and without', async (_what, files, sentence) => {
  const certificates = makeCertificates()
  const proxy = await owner.opened(httpProxy())
  const server = await owner.opened(listening(createTlsServer({ cert: certificates.good.cert, key: certificates.good.key }, (_request, response) => response.end('ok'))))
  for (const way of [{}, { proxy_url: `http://${proxy.at}` }]) {
    await expect(send(`https://localhost:${server.port}/`, bound({ ...files(certificates), ...way }))).rejects.toMatchObject({ name: 'WireError', reason: 'tls', message: expect.stringContaining(sentence) })
  }
})

it('says of a proxy that it was the proxy, and nothing of the login', async () => {
  const [login, open] = [await owner.opened(httpProxy({ login: 'ann:right' })), await owner.opened(httpProxy())]
  const fails = async (proxy_url: string, url: string) => (await send(url, bound({ proxy_url })).catch((error: unknown) => error)) as Error
  for (const url of ['https://chat.test/', 'http://chat.test/']) {
    expect(await fails(`http://ann:wrong-word@${login.at}`, url)).toMatchObject({ reason: 'network', message: `through the proxy ${login.at}: it answers 407 Proxy Authentication Required: the user name and password of proxy_url` })
  }
  expect((await fails(`http://${open.at}`, 'https://localhost:1/')).message).toBe(`through the proxy ${open.at}: it answers 502 Bad Gateway`)
  expect((await fails('http://ann:wrong-word@127.0.0.1:1', 'https://chat.test/')).message).toBe('through the proxy 127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1')
})

it('keeps no connection to a proxy that does not answer', async () => {
  const open = new Set<Socket>()
  const silent = await owner.opened(listening(createSocketServer((socket) => {
    open.add(socket.resume().on('error', () => {}))
    socket.on('close', () => open.delete(socket))
  })))
  await expect(send('https://chat.test/', bound({ proxy_url: `http://127.0.0.1:${silent.port}`, timeout: '100ms' }))).rejects.toMatchObject({ reason: 'timeout', message: expect.stringContaining('through the proxy') })
  await eventually(() => open.size === 0, 3_000, 'the end of the connection')
})

it.each(['http://127.0.0.1/', 'http://[::ffff:127.0.0.1]/', 'http://169.254.169.254/', 'http://localhost/', 'http://chat.localhost./'])('sends nothing to %s through a proxy unless private destinations are allowed', async (url) => {
  const proxy = await owner.opened(httpProxy())
  await expect(send(url, bound({ proxy_url: `http://${proxy.at}` }), false)).rejects.toMatchObject({ reason: 'private_destination' })
  expect(proxy.requests).toEqual([])
})
