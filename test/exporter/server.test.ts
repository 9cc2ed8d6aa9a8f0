import { connect } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { request } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { isForeignOrigin, isLoopback } from '../../src/exporter/http-access.ts'
import { acceptsGzip, language, METRICS_TYPES, metricsFormat } from '../../src/exporter/http-negotiate.ts'
import { startServer } from '../../src/exporter/server.ts'
import { taint } from '../../src/core/secrets.ts'
import { eventually } from '../support/process.ts'
import { ALONE_SHARE, BEHIND_PROXY, closeAll, startSite, textOf, type TestSite } from './http-support.ts'

afterEach(closeAll)

describe('what every answer carries', () => {
  it('names no software, sniffs nothing, frames nothing', async () => {
    const site = await startSite()
    for (const path of ['/', '/metrics', '/-/healthy', '/api/v1/probes', '/nothing']) {
      const { headers } = await site.get(path)
      expect(headers['x-powered-by']).toBeUndefined()
      expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'x-frame-options': 'deny', 'referrer-policy': 'no-referrer', 'cache-control': 'no-store' })
      expect(headers['content-security-policy']).toContain("default-src 'none'")
    }
  })

  it('says what is wrong in one sentence, as JSON under /api', async () => {
    const site = await startSite()
    expect(await site.get('/nothing')).toMatchObject({ status: 404, body: 'There is nothing at this path.\n' })
    expect(JSON.parse((await site.get('/api/nothing')).body)).toEqual({ schema_version: 1, error: 'There is nothing at this path.' })
    expect((await site.get('/api/v1/probes/%zz')).status).toBe(400)
  })

  it('never shows a stack trace', async () => {
    const site = await startSite({ configText: () => { throw new TypeError('secret detail') } })
    const { status, body } = await site.get('/config')
    expect(status).toBe(500)
    expect(body).toBe('An error inside Curlew: its log says more.\n')
    expect(site.logged[0]?.level).toBe('error')
    expect(site.logged[0]?.fields['error']).toContain('secret detail')
  })
})

describe('management paths', () => {
  it('is healthy always and ready when it is', async () => {
    let ready = false
    const site = await startSite({ ready: () => ready })
    expect(await site.get('/-/healthy')).toMatchObject({ status: 200, body: 'Healthy\n' })
    expect((await site.get('/-/ready')).status).toBe(503)
    ready = true
    expect(await site.get('/-/ready')).toMatchObject({ status: 200, body: 'Ready\n' })
    expect(await site.get('/-/ready', { method: 'HEAD' })).toMatchObject({ status: 200, body: '' })
    expect((await site.get('/-/healthy', { method: 'POST' })).headers['allow']).toBe('GET, HEAD')
  })

  it('reloads on POST only', async () => {
    let reloads = 0
    const site = await startSite({ reload: async () => { reloads++; return { ok: true } } })
    for (const method of ['GET', 'HEAD', 'PUT', 'OPTIONS']) {
      expect(await site.get('/-/reload', { method })).toMatchObject({ status: 405, headers: { allow: 'POST' } })
    }
    expect((await site.get('/-/reload')).body).toBe('This endpoint requires a POST request.\n')
    expect(reloads).toBe(0)
    expect(await site.get('/-/reload', { method: 'POST' })).toMatchObject({ status: 200, body: '' })
    expect(reloads).toBe(1)
  })

  it('answers a failed reload with every error, without secrets', async () => {
    taint('hunter2hunter2')
    const site = await startSite({ reload: async () => ({ ok: false, errors: ['curlew.yaml:3:5: probes[0].every: expected a duration', 'bad hunter2hunter2'] }) })
    expect(await site.get('/-/reload', { method: 'POST' })).toMatchObject({ status: 500, body: 'curlew.yaml:3:5: probes[0].every: expected a duration\nbad <secret>\n' })
  })

  it('reloads once for all who ask meanwhile', async () => {
    const held = Promise.withResolvers<{ ok: true }>()
    let reloads = 0
    const site = await startSite({ reload: () => { reloads++; return held.promise } })
    const asked = [site.get('/-/reload', { method: 'POST' }), site.get('/-/reload', { method: 'POST' })]
    await eventually(() => site.logged.length === 2)
    held.resolve({ ok: true })
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([200, 200])
    expect(reloads).toBe(1)
  })

  it('wants no body', async () => {
    const site = await startSite()
    const post = (headers: Record<string, string>, body: string) => new Promise<number>((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port: site.port, path: '/-/reload', method: 'POST', agent: false, headers: { host: 'localhost', ...headers } }, (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      })
      sent.on('error', reject)
      sent.end(body)
    })
    expect(await post({ 'content-length': '2' }, '{}')).toBe(200)
    expect(await post({ 'content-length': '1025' }, 'x'.repeat(1025))).toBe(413)
    expect(await post({ 'transfer-encoding': 'chunked' }, 'x')).toBe(413)
  })

  it('shows the config as text, with secrets replaced once more', async () => {
    taint('planted-secret')
    const site = await startSite({ configText: () => 'password: planted-secret\n' })
    expect(await site.get('/config')).toMatchObject({ status: 200, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: 'password: <secret>\n' })
  })
})

describe('who may read what', () => {
  it.each([
    ['127.0.0.1', true], ['127.0.0.2', true], ['::1', true], ['::ffff:127.0.0.1', true], ['::ffff:127.9.9.9', true],
    ['10.0.0.1', false], ['::ffff:10.0.0.1', false], ['128.0.0.1', false], ['::', false], ['0.0.0.0', false], ['fe80::1%lo', false], ['localhost', false], ['', false], [undefined, false],
  ])('%s is loopback: %s', (address, expected) => { expect(isLoopback(address)).toBe(expected) })

  const paths: [string, string][] = [['GET', '/'], ['GET', '/config'], ['GET', '/api/v1/probes'], ['GET', '/api/v1/probes/0123456789ab'], ['POST', '/-/reload']]
  const statuses = (site: TestSite, headers: Record<string, string>) => Promise.all(paths.map(async ([method, path]) => (await site.get(path, { method, headers })).status))

  it('lets this machine do everything', async () => {
    const site = await startSite()
    for (const host of ['localhost', 'LOCALHOST:1', '127.0.0.1:9797', '[::1]:9797', '127.0.0.2']) expect(await statuses(site, { host })).toEqual([200, 200, 200, 404, 200])
  })

  it('gives others /metrics, /-/healthy and /-/ready only, and says what to do', async () => {
    const site = await startSite()
    for (const header of ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via', 'x-forwarded-host']) expect(await statuses(site, { [header]: '127.0.0.1' })).toEqual([403, 403, 403, 403, 403])
    for (const path of ['/metrics', '/-/healthy', '/-/ready']) expect((await site.get(path, { headers: BEHIND_PROXY })).status).toBe(200)
    expect((await site.get('/', { headers: BEHIND_PROXY })).body).toMatch(/^Only this machine may read this.*web\.public_status: true\.\n$/)
    expect((await site.get('/-/reload', { method: 'POST', headers: BEHIND_PROXY })).body).not.toContain('public_status')
    expect((await site.get('/api/v1/probes', { headers: BEHIND_PROXY })).body).toMatch(/^\{"schema_version":1,"error":"Only this machine/)
  })

  it('opens the status to everybody when the config says so, but never the reload', async () => {
    const site = await startSite({ publicStatus: () => true })
    expect(await statuses(site, BEHIND_PROXY)).toEqual([200, 200, 200, 404, 403])
  })

  it('refuses a foreign name of this machine (DNS rebinding)', async () => {
    const site = await startSite()
    for (const host of ['evil.example', 'localhost.evil.example', 'evil.example:80', '127.0.0.1.evil.example', 'localhost@evil.example', 'localhost/x', '10.0.0.1']) {
      expect(await statuses(site, { host })).toEqual([403, 403, 403, 403, 403])
    }
  })

  it('trusts the name that it was told to listen on', async () => {
    const site = await startSite({}, 'localhost')
    expect((await site.get('/', { headers: { host: `localhost:${site.port}` } })).status).toBe(200)
  })

  it('refuses pages of other sites, also where everything is public', async () => {
    const site = await startSite({ publicStatus: () => true })
    for (const origin of ['https://evil.example', 'null', 'http://localhost:1', 'file://', 'http://localhost.evil.example']) expect(await statuses(site, { origin })).toEqual([403, 403, 403, 403, 403])
    expect(await statuses(site, { origin: `http://localhost:${site.port}` })).toEqual([200, 200, 200, 404, 200])
  })

  it.each([
    ['curlew.example', 'https://curlew.example', false],
    ['curlew.example:443', 'https://curlew.example', false],
    ['curlew.example', 'http://curlew.example:80', false],
    ['curlew.example:9797', 'http://curlew.example', true],
    ['curlew.example', 'ftp://curlew.example', true],
    ['[::1]:9797', 'http://[::1]:9797', false],
    [undefined, 'http://localhost', true],
    ['curlew.example', undefined, false],
  ])('Host %s and Origin %s: foreign %s', (host, origin, foreign) => {
    // safe: nothing else of a request is looked at
    expect(isForeignOrigin({ headers: { host, origin }, socket: {} } as unknown as Parameters<typeof isForeignOrigin>[0])).toBe(foreign)
  })
})

describe('/metrics', () => {
  const prometheus2 = 'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1'
  const prometheus3 = 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1'
  it.each([
    [undefined, 'text'], ['', 'text'], ['*/*', 'text'], ['text/html,application/xhtml+xml,*/*;q=0.8', 'text'],
    [prometheus2, 'openmetrics'], [prometheus3, 'openmetrics'],
    ['application/openmetrics-text', 'openmetrics'], ['application/openmetrics-text; version=0.0.1', 'openmetrics'], ['application/openmetrics-text; version="1.0.0"', 'openmetrics'],
    ['application/openmetrics-text;version=2.0.0', 'text'], ['application/openmetrics-text;q=0', 'text'], ['application/openmetrics-text;q=0.000', 'text'],
    ['application/openmetrics-text;q=0.2,text/plain;q=0.3', 'text'], ['text/plain;q=0.2,application/openmetrics-text;q=0.3', 'openmetrics'],
    ['application/openmetrics-text;q=0.2,*/*;q=0.8', 'text'], ['text/plain;version=1.0.0,application/openmetrics-text;q=0.1', 'openmetrics'],
    ['text/plain,application/openmetrics-text', 'text'], ['application/openmetrics-text,text/plain', 'openmetrics'], ['APPLICATION/OpenMetrics-Text', 'openmetrics'], [',;q=x,,', 'text'],
  ] as const)('Accept %s is answered in %s', (accept, expected) => { expect(metricsFormat(accept)).toBe(expected) })

  it.each([
    [undefined, false], ['gzip', true], ['gzip, deflate, br', true], ['identity', false], ['gzip;q=0', false], ['*;q=0.5', true], ['gzip;q=0, *', false], ['br;q=1, gzip;q=0.2', true], ['', false],
  ])('Accept-Encoding %s: gzip %s', (header, expected) => { expect(acceptsGzip(header)).toBe(expected) })

  it('sends the format that was asked for, with its own Content-Type', async () => {
    const asked: string[] = []
    const site = await startSite({ render: async function* (format) { asked.push(format); yield 'a 1\n'; yield 'b 2\n' } })
    const text = await site.get('/metrics')
    expect(text).toMatchObject({ status: 200, body: 'a 1\nb 2\n', headers: { 'content-type': METRICS_TYPES.text, vary: 'Accept, Accept-Encoding' } })
    const open = await site.get('/metrics', { headers: { accept: prometheus2 } })
    expect(open.headers['content-type']).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
    expect(asked).toEqual(['text', 'openmetrics'])
  })

  it('compresses when the client can read it', async () => {
    const text = 'probe_success{probe="a"} 1\n'.repeat(10_000)
    const site = await startSite({ render: textOf(text) })
    const zipped = await new Promise<Buffer>((resolve, reject) => {
      request({ host: '127.0.0.1', port: site.port, path: '/metrics', agent: false, headers: { 'accept-encoding': 'gzip' } }, (response) => {
        expect(response.headers['content-encoding']).toBe('gzip')
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks)))
      }).on('error', reject).end()
    })
    expect(zipped.length).toBeLessThan(text.length / 10)
    expect(gunzipSync(zipped).toString()).toBe(text)
  })

  it('answers HEAD without rendering', async () => {
    let rendered = false
    const site = await startSite({ render: async function* () { rendered = true; yield 'a 1\n' } })
    expect(await site.get('/metrics', { method: 'HEAD' })).toMatchObject({ status: 200, body: '', headers: { 'content-type': METRICS_TYPES.text } })
    expect(rendered).toBe(false)
  })

  it('is 500 when nothing can be rendered, and a broken answer when it fails half way', async () => {
    const early = await startSite({ render: () => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('no')) }) }) })
    expect(await early.get('/metrics')).toMatchObject({ status: 500, body: 'An error inside Curlew: its log says more.\n' })
    const late = await startSite({ render: async function* () { yield 'x'.repeat(100_000); throw new Error('half way') } })
    await expect(late.get('/metrics')).rejects.toThrow('aborted')
    await eventually(() => late.logged.length > 0)
    expect(late.logged).toEqual([{ level: 'warn', message: 'a scrape was broken off', fields: { reason: 'half way' } }])
  })

  /** A render function that counts what was drawn from it and whether it was ended. */
  function counted() {
    const seen = { drawn: 0, ended: 0 }
    const render = async function* () {
      try {
        for (; seen.drawn < 2_000; seen.drawn++) yield 'x'.repeat(64 * 1024)
      } finally {
        seen.ended++
      }
    }
    return { seen, render }
  }

  it('draws no more than a slow client reads, and stops when it goes away', async () => {
    const { seen, render } = counted()
    const site = await startSite({ render })
    const socket = connect(site.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.pause()
    socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n')
    let before = -1
    await eventually(() => {
      const still = seen.drawn > 0 && seen.drawn === before
      before = seen.drawn
      return still
    })
    // What the two socket buffers of the kernel take in, at most a few MB.
    expect(seen.drawn).toBeLessThan(400)
    socket.destroy()
    await eventually(() => seen.ended === 1)
    expect((await site.get('/-/healthy')).status).toBe(200)
    expect(site.logged).toEqual([])
  })

  it('gives up on a client that does not read within its own scrape timeout', async () => {
    const { seen, render } = counted()
    const site = await startSite({ render })
    const socket = connect(site.port, '127.0.0.1')
    const closed = new Promise((resolve) => socket.on('close', resolve))
    socket.on('error', () => {})
    socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Prometheus-Scrape-Timeout-Seconds: 0.3\r\n\r\n')
    socket.pause()
    await eventually(() => seen.ended === 1)
    socket.resume()
    await closed
    await eventually(() => site.logged.length > 0)
    expect(site.logged[0]).toMatchObject({ message: 'a scrape was broken off', fields: { reason: 'the client did not read it within 0.3 s' } })
  })

  it('serves a few scrapes of a client at a time and tells the others to come back', async () => {
    const held = Promise.withResolvers<void>()
    let started = 0
    const site = await startSite({ render: async function* () { started++; await held.promise; yield 'a 1\n' } })
    const five = Array.from({ length: 5 }, () => site.get('/metrics'))
    await eventually(() => started === 5)
    expect(await site.get('/metrics')).toMatchObject({ status: 503, headers: { 'retry-after': '1' }, body: '5 scrapes from this address are under way already: try again in a second.\n' })
    // Nobody keeps a scraper on another machine out, however slowly they read.
    const neighbour = site.get('/metrics', { localAddress: '127.0.0.2' })
    await eventually(() => started === 6)
    held.resolve()
    expect((await neighbour).status).toBe(200)
    expect((await Promise.all(five)).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    expect((await site.get('/metrics')).status).toBe(200)
  })

  it('bounds the scrapes of all clients together', async () => {
    const held = Promise.withResolvers<void>()
    let started = 0
    const site = await startSite({ render: async function* () { started++; await held.promise; yield 'a 1\n' } })
    const twenty = Array.from({ length: 20 }, (_, index) => site.get('/metrics', { localAddress: `127.0.0.${2 + index % 4}` }))
    await eventually(() => started === 20)
    expect(await site.get('/metrics')).toMatchObject({ status: 503, body: '20 scrapes are under way already: try again in a second.\n' })
    held.resolve()
    expect((await Promise.all(twenty)).every(({ status }) => status === 200)).toBe(true)
  })
})

describe('starting and stopping', () => {
  it('says who has the port', async () => {
    const site = await startSite()
    const second = startServer({
      store: site.store, types: [], render: textOf(''), ready: () => true, share: () => ALONE_SHARE, publicStatus: () => false, configText: () => '',
      reload: async () => ({ ok: true }), webConfigFile: undefined, webhook: () => undefined, log: () => {},
    }, { host: '127.0.0.1', port: site.port })
    // The name has the command line show the sentence without a stack trace.
    await expect(second).rejects.toMatchObject({ name: 'ConfigError', message: `cannot listen on 127.0.0.1:${site.port}: another process listens there` })
  })

  it('is not kept from answering by one address that holds all the connections it gets', async () => {
    const site = await startSite()
    const held = Array.from({ length: 200 }, () => connect(site.port, '127.0.0.1'))
    let ended = 0
    for (const socket of held) {
      socket.on('error', () => {})
      socket.on('close', () => { ended++ })
      socket.write('GET /-/healthy HTTP/1.1\r\n')
    }
    await eventually(() => ended === 200 - 128)
    const healthy = await new Promise((resolve, reject) => {
      request({ host: '127.0.0.1', port: site.port, localAddress: '127.0.0.2', path: '/-/healthy', agent: false }, (answer) => { answer.resume(); resolve(answer.statusCode) }).on('error', reject).end()
    })
    expect(healthy).toBe(200)
    for (const socket of held) socket.destroy()
    await eventually(async () => (await site.get('/-/healthy')).status === 200)
  })

  it('closes at once when nobody asks anything, also with idle connections', async () => {
    const site = await startSite()
    const socket = connect(site.port, '127.0.0.1')
    const gone = new Promise((resolve) => socket.on('close', resolve))
    socket.write('GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await new Promise((resolve) => socket.once('data', resolve))
    const began = performance.now()
    await site.close(5_000)
    await gone
    expect(performance.now() - began).toBeLessThan(2_000)
  })

  it('lets an answer end that is under way', async () => {
    const held = Promise.withResolvers<void>()
    let started = false
    const site = await startSite({ render: async function* () { started = true; yield 'a 1\n'.repeat(20_000); await held.promise; yield 'b 2\n' } })
    const answer = site.get('/metrics')
    await eventually(() => started)
    const closed = site.close(5_000)
    await expect(site.get('/-/healthy')).rejects.toThrow('ECONNREFUSED')
    held.resolve()
    expect((await answer).body).toMatch(/b 2\n$/)
    await closed
  })

  it('cuts off what takes too long', async () => {
    let started = false
    const site = await startSite({ render: async function* () { started = true; yield 'a 1\n'.repeat(20_000); await new Promise(() => {}) } })
    const answer = Promise.allSettled([site.get('/metrics')])
    await eventually(() => started)
    const began = performance.now()
    await site.close(200)
    expect(performance.now() - began).toBeLessThan(2_000)
    expect(await answer).toMatchObject([{ status: 'rejected' }])
  })
})

it.each([
  [undefined, undefined, 'en'], [undefined, 'zh-CN,zh;q=0.9,en;q=0.8', 'zh'], [undefined, 'en-GB,zh;q=0.5', 'en'], [undefined, 'fr,zh-TW;q=0.3', 'zh'],
  ['zh', 'en', 'zh'], ['en', 'zh', 'en'], ['xx', 'zh', 'zh'], [undefined, 'zhuang', 'en'],
] as const)('lang %s and Accept-Language %s: %s', (lang, header, expected) => { expect(language(lang, header)).toBe(expected) })
