import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createLookup } from '../../src/notify/lookup.ts'
import type { ProbeQuestion } from '../../src/notify/protocol.ts'
import { createOwner } from '../support/owner.ts'
import { notifyConfig } from '../support/notify.ts'
import { otherAlert, probeAlert } from './alerts.ts'

const owner = createOwner()
afterEach(() => owner.end())

const ALERT = { alertname: 'Down', probe: 'cache', target: 'redis-0:6379' }
const probeJson = (message: string, labels: object = {}, over: object = {}) => ({
  schema_version: 1, probe: { name: 'cache', target: 'redis-0:6379', labels, status: 'failed', failure: { layer: 'connect', reason: 'refused', message }, ...over },
})
const json = (body: object): RequestListener => (_request, response) => { response.end(JSON.stringify(body)) }

/** Another Curlew. `asked` are the paths. */
async function another(answer: RequestListener) {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  await owner.opened(Promise.resolve({ close: () => { server.closeAllConnections(); server.close() } }))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

/** What the message of an alert with these labels would say was the failure. */
function started(curlews: readonly object[], here: (question: ProbeQuestion) => unknown = () => undefined) {
  const questions: ProbeQuestion[] = []
  const results: boolean[] = []
  const logged: string[] = []
  const lookup = createLookup((line) => {
    if (line.kind === 'looked_up') results.push(line.found)
    if (line.kind === 'log') logged.push(`${line.message}: ${String(line.fields['error'])}`)
    if (line.kind !== 'lookup') return
    questions.push(line.question)
    setImmediate(() => lookup.found(line.id, here(line.question)))
  })
  lookup.ask(notifyConfig({ curlews }).curlews)
  const ask = async (labels: Record<string, string>) => (await lookup.lookUp(probeAlert({ labels })))?.failure?.message
  return { ask, questions, results, logged, lookup }
}

describe('probes of one name in two clusters', () => {
  it('asks with the clusters of the alert, by the names that Prometheus gives to labels that a scrape has, too', async () => {
    const hub = await another(json(probeJson('there')))
    const { ask, questions } = started([{ url: `${hub.url}/` }])
    await ask({ ...ALERT, cluster: 'eu', source_cluster: 'hub', instance: '10.0.0.1:9797', job: 'curlew' })
    await ask({ ...ALERT, probe: 'of-the-scrape', exported_probe: 'cache', cluster: 'hub', exported_cluster: 'us' })
    expect(questions).toEqual([{ probe: 'cache', target: 'redis-0:6379', cluster: 'eu', source_cluster: 'hub' }, { probe: 'cache', target: 'redis-0:6379', cluster: 'us' }])
    expect(hub.asked).toEqual(['/api/v1/diagnosis?probe=cache&target=redis-0%3A6379&cluster=eu&source_cluster=hub', '/api/v1/diagnosis?probe=cache&target=redis-0%3A6379&cluster=us'])
  })

  it('believes the one whose labels say the cluster, wherever it is, and however slow', async () => {
    const us = await another((...exchange) => { setTimeout(() => json(probeJson('us', { cluster: 'us' }))(...exchange), 150) })
    const eu = await another(json(probeJson('eu', { cluster: 'eu' })))
    const { ask } = started([{ url: eu.url }, { url: us.url }], () => probeJson('here'))
    expect(await ask({ ...ALERT, cluster: 'us' })).toBe('us')
    expect(await ask({ ...ALERT, cluster: 'eu' })).toBe('eu')
    // Known to Prometheus alone.
    expect(await ask({ ...ALERT, cluster: 'asia' })).toBe('here')
    const labelled = started([{ url: us.url }], () => probeJson('here', { cluster: 'hub', source_cluster: 'hub' }))
    expect(await labelled.ask({ ...ALERT, cluster: 'hub', source_cluster: 'hub' })).toBe('here')
    expect(await labelled.ask({ ...ALERT, cluster: 'hub', source_cluster: 'us' })).toBeUndefined()
  })

  it('leaves alerts that a match gives to another Curlew to that one, also while it is away', async () => {
    const us = await another(json(probeJson('us')))
    const mine = () => probeJson('here')
    const { ask, results } = started([{ url: us.url, match: ['cluster="us"'] }, { url: 'http://127.0.0.1:1', match: ['source_cluster="asia"'] }], mine)
    expect(await ask({ ...ALERT, cluster: 'us' })).toBe('us')
    expect(await ask({ ...ALERT, cluster: 'eu' })).toBe('here')
    expect(await ask({ ...ALERT, source_cluster: 'asia' })).toBeUndefined()
    expect(results).toEqual([true, true, false])
    expect(await started([{ url: 'http://127.0.0.1:1', match: ['severity="critical"'] }], mine).ask({ ...ALERT, severity: 'critical', cluster: 'eu' })).toBe('here')
  })
})

describe('another Curlew', () => {
  it.each<[string, RequestListener, string?]>([
    ['says nothing', () => {}, 'no answer within 1000 ms'],
    ['does not come to an end', (_request, response) => { response.write('{"schema_version":1,'); setInterval(() => response.write(' '), 50).unref() }, 'no answer within 1000 ms'],
    ['writes without end', (_request, response) => { response.on('error', () => {}); response.end(JSON.stringify(probeJson('x'.repeat(10 << 20)))) }, 'too long'],
    ['writes what is no JSON', (_request, response) => { response.end('<html>') }, 'not JSON'],
    ['leads elsewhere', (_request, response) => { response.writeHead(307, { location: '/elsewhere' }).end(JSON.stringify(probeJson('redirect'))) }, 'status 307'],
    ['wants a login', (_request, response) => { response.writeHead(401).end(JSON.stringify(probeJson('401'))) }, 'status 401'],
    ['does not know it', (_request, response) => { response.writeHead(404).end('{}') }],
    ['tells of another probe', json(probeJson('other', {}, { name: 'another' }))],
    ['tells of another target', json(probeJson('other', {}, { target: 'redis-1:6379' }))],
  ])('that %s is not waited for, nor believed; a trouble is said once, and not met again at once', { timeout: 6_000 }, async (_what, answer, trouble) => {
    const { url, asked } = await another(answer)
    const since = performance.now()
    const { ask, logged } = started([{ url }])
    expect(await ask(ALERT)).toBeUndefined()
    expect(performance.now() - since).toBeLessThan(2_000)
    await ask(ALERT)
    expect(asked).toHaveLength(trouble === undefined ? 2 : 1)
    const now = performance.now()
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now + 5_001)
    await ask(ALERT).finally(() => clock.mockRestore())
    expect(asked).toHaveLength(trouble === undefined ? 3 : 2)
    expect(logged).toEqual(trouble === undefined ? [] : [expect.stringMatching(new RegExp(`cannot be asked.*${trouble}`))])
  })

  it('gets names as names, whatever they hold, and its token', async () => {
    let got: unknown
    const { url, asked } = await another((request, response) => {
      got = { authorization: request.headers.authorization, probe: new URL(request.url ?? '', 'http://x').searchParams.get('probe') }
      response.end('{}')
    })
    const probe = '../../webhook?a=b&target=x#y\r\nHost: evil 缓存'
    await started([{ url, token: 'a-token-of-it' }]).ask({ ...ALERT, probe })
    expect(got).toEqual({ authorization: 'Bearer a-token-of-it', probe })
    expect(asked[0]).toMatch(/^\/api\/v1\/diagnosis\?probe=[^/?#&\s]+&target=redis-0%3A6379$/)
  })

  it('is asked once for all channels that tell of an alert at the same time, and of no alert without a probe', async () => {
    const { url, asked } = await another(json(probeJson('there')))
    const { ask, lookup } = started([{ url }])
    expect(await Promise.all([ask(ALERT), ask(ALERT), ask(ALERT)])).toEqual(['there', 'there', 'there'])
    expect(asked).toHaveLength(1)
    await ask(ALERT)
    expect(asked).toHaveLength(2)
    expect(await lookup.lookUp(otherAlert('api-0'))).toBeUndefined()
    expect(asked).toHaveLength(2)
  })
})
