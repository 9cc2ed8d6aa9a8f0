import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { taint } from '../../src/core/secrets.ts'
import { createStore, type Store } from '../../src/core/store.ts'
import { escapeHtml, renderPage } from '../../src/exporter/page.ts'
import { REFUSED, resultOf, testJob } from '../support/jobs.ts'
import { ALONE_SHARE, closeAll, startSite, type TestSite } from './http-support.ts'

afterEach(closeAll)

const T0 = Date.UTC(2026, 0, 2, 3, 4, 5, 678)
const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** redis failing because of dns, dns failing, tcp ok, memcached unknown, cron not run yet. */
function fill(store: Store) {
  const dns = testJob({ name: 'dns', target: '10.0.0.53:53' })
  const redis = testJob({ name: 'redis', target: 'redis.test:6379', labels: { team: 'web' }, codes: { redis_loading: { reason: 'loading', en: 'Redis is loading.', zh: 'Redis 正在加载。' } }, failureThreshold: 3 })
  const tcp = testJob({ name: 'tcp', target: '10.0.0.1:80' })
  const memcached = testJob({ name: 'memcached', target: '10.0.0.1:11211' })
  const cron = testJob({ name: 'cron', target: '10.0.0.2:80' })
  for (const job of [tcp, redis, dns, memcached, cron]) store.put(job).nextRunAt = T0 + 10_000
  store.record(resultOf(dns, 'failed', T0, { failure: REFUSED }))
  for (let run = 0; run < 70; run++) store.record(resultOf(redis, 'ok', T0 - 100_000 + run * 1_000, { ms: 1.5, phases: [{ name: 'connect', ms: 0.5 }, { name: 'request', ms: 1 }] }))
  store.record(resultOf(redis, 'failed', T0, {
    failure: { layer: 'request', reason: 'loading', code: 'redis_loading', message: 'LOADING Redis is loading the dataset in memory' },
    ms: 2, phases: [{ name: 'connect', ms: 0.5 }],
    gauges: [{ name: 'probe_redis_connected_clients', value: 3 }, { name: 'probe_redis_odd', value: Number.NaN, labels: { a: 'b' } }],
  }))
  store.record(resultOf(tcp, 'ok', T0))
  store.record(resultOf(memcached, 'unknown', T0))
  const blamed = store.get(redis.id)
  if (blamed) blamed.cause = { kind: 'explained', root: 'dns/10.0.0.53:53', rootId: dns.id, through: ['dns/10.0.0.53:53'] }
  const root = store.get(dns.id)
  if (root) root.cause = { kind: 'root' }
  return { dns, redis, tcp, memcached, cron }
}

let site: TestSite
let jobs: ReturnType<typeof fill>
beforeEach(async () => {
  site = await startSite()
  jobs = fill(site.store)
})

type Json = Record<string, unknown>
interface Body extends Json {
  readonly probes: readonly Json[]
  readonly probe: Json & { readonly gauges: unknown, readonly history: { readonly runs: readonly Json[], readonly minutes: readonly Json[], readonly failures: readonly Json[] } }
}

const json = async (path: string) => {
  const { status, body, headers } = await site.get(path)
  expect(headers['content-type']).toBe('application/json; charset=utf-8')
  return { status, body: JSON.parse(body) as Body } // safe: a test that reads what is not there fails
}

describe('GET /api/v1/probes', () => {
  it('lists every probe in the order of the config', async () => {
    const { status, body } = await json('/api/v1/probes')
    expect(status).toBe(200)
    expect(body).toMatchObject({ schema_version: 1, total: 5, offset: 0, limit: 100 })
    expect(body.probes.map((probe) => [probe['name'], probe['status']])).toEqual([['tcp', 'ok'], ['redis', 'failed'], ['dns', 'failed'], ['memcached', 'unknown'], ['cron', null]])
  })

  it('says of each what, how, since when and why', async () => {
    const { body } = await json('/api/v1/probes?probe=redis')
    expect(body.probes).toEqual([{
      id: jobs.redis.id, name: 'redis', type: 'test', target: 'redis.test:6379', labels: { team: 'web' }, mode: 'read-only',
      status: 'failed', since: '2026-01-02T03:04:05.678Z', healthy: true, failing_since: '2026-01-02T03:04:05.678Z',
      root_cause: false, cause_pending: false, explained_by: 'dns/10.0.0.53:53', explained_by_id: jobs.dns.id, explained_through: ['dns/10.0.0.53:53'],
      last_run: { started_at: '2026-01-02T03:04:05.678Z', duration_seconds: 0.002, phases: [{ name: 'connect', duration_seconds: 0.0005 }] },
      failure: { layer: 'request', reason: 'loading', code: 'redis_loading', message: 'LOADING Redis is loading the dataset in memory', sentence: { en: 'Redis is loading.', zh: 'Redis 正在加载。' } },
      next_run: '2026-01-02T03:04:15.678Z', interval_seconds: 10, timeout_seconds: 1, runs: { ok: 70, failed: 1, unknown: 0 },
    }])
  })

  it('has no failure where there is none, and nulls where nothing is known', async () => {
    const { body } = await json('/api/v1/probes?probe=tcp')
    expect(body.probes[0]).not.toHaveProperty('failure')
    const never = (await json('/api/v1/probes?probe=cron')).body.probes[0]
    expect(never).toMatchObject({ status: null, since: null, healthy: null, last_run: null, failing_since: null, root_cause: false, runs: { ok: 0, failed: 0, unknown: 0 } })
    expect(never).not.toHaveProperty('failure')
    expect((await json('/api/v1/probes?probe=dns')).body.probes[0]).toMatchObject({ root_cause: true, healthy: false, explained_by: null })
  })

  it.each([
    ['probe=redis', ['redis']], ['target=10.0.0.1:80', ['tcp']], ['type=test&status=failed', ['redis', 'dns']], ['status=unknown', ['memcached']],
    ['status=none', ['cron']], ['status=ok&probe=redis', []], ['limit=2', ['tcp', 'redis']], ['limit=2&offset=4', ['cron']], ['offset=9', []],
  ])('filters and pages by %s', async (query, names) => {
    const { body } = await json(`/api/v1/probes?${query}`)
    expect(body.probes.map((probe) => probe['name'])).toEqual(names)
  })

  it('counts all that match, not only the page', async () => {
    expect((await json('/api/v1/probes?status=failed&limit=1&offset=1')).body).toMatchObject({ total: 2, offset: 1, limit: 1 })
  })

  it.each([
    ['stauts=ok', 'Unknown parameter "stauts": expected probe, target, type, status, limit, offset.'],
    ['status=bad', 'status: expected one of ok, failed, unknown, none.'], ['type=nothing', 'type: expected one of test.'],
    ['limit=0', 'limit: expected a number between 1 and 500.'], ['limit=501', 'limit: expected a number between 1 and 500.'], ['limit=1e2', 'limit: expected a number between 1 and 500.'],
    ['offset=-1', 'offset: expected a number of probes to leave out.'], ['probe=a&probe=b', 'probe: expected one value.'],
  ])('refuses %s', async (query, error) => {
    expect(await json(`/api/v1/probes?${query}`)).toEqual({ status: 400, body: { schema_version: 1, error } })
  })
})

describe('GET /api/v1/probes/<id>', () => {
  it('has the last 60 runs, the minutes, the failures and the gauges', async () => {
    const { body } = await json(`/api/v1/probes/${jobs.redis.id}`)
    expect(body['schema_version']).toBe(1)
    const { gauges, history, explains, failing_alike, ...about } = body.probe
    expect([explains, failing_alike]).toEqual([0, { count: 0, names: [] }])
    expect(about).toEqual((await json('/api/v1/probes?probe=redis')).body.probes[0])
    expect(gauges).toEqual([{ name: 'probe_redis_connected_clients', value: 3, labels: {} }, { name: 'probe_redis_odd', value: null, labels: { a: 'b' } }])
    expect(history.runs).toHaveLength(60)
    const { started_at, ...first } = history.runs[0] ?? {}
    expect(started_at).toMatch(RFC3339)
    expect(first).toEqual({ duration_seconds: 0.0015, status: 'ok', phases: [{ name: 'connect', duration_seconds: 0.0005 }, { name: 'request', duration_seconds: 0.001 }] })
    expect(history.runs.at(-1)).toEqual({ started_at: '2026-01-02T03:04:05.678Z', duration_seconds: 0.002, status: 'failed', layer: 'request', reason: 'loading', phases: [{ name: 'connect', duration_seconds: 0.0005 }] })
    expect(history.minutes.at(-1)).toMatchObject({ started_at: '2026-01-02T03:04:00.000Z', runs: 1, failed: 1, p50_seconds: 0.002 })
    expect(history.failures).toEqual([{ started_at: '2026-01-02T03:04:05.678Z', duration_seconds: 0.002, status: 'failed', failure: about['failure'], phases: [{ name: 'connect', duration_seconds: 0.0005 }] }])
  })

  it('says how many it explains, and who else fails on its layer', async () => {
    expect((await json(`/api/v1/probes/${jobs.dns.id}`)).body.probe).toMatchObject({ explains: 1, failing_alike: { count: 0, names: [] } })
    for (let index = 0; index < 7; index++) {
      const job = testJob({ name: `web${index}`, target: `10.0.1.${index}:80` })
      site.store.put(job)
      site.store.record(resultOf(job, 'failed', T0, { failure: REFUSED }))
    }
    expect((await json(`/api/v1/probes/${jobs.dns.id}`)).body.probe).toMatchObject({
      failing_alike: { count: 7, names: ['web0/10.0.1.0:80', 'web1/10.0.1.1:80', 'web2/10.0.1.2:80', 'web3/10.0.1.3:80', 'web4/10.0.1.4:80'] },
    })
    expect((await json('/api/v1/probes/lookup?probe=tcp')).body.probe).toMatchObject({ explains: 0, failing_alike: null })
    expect((await json('/api/v1/probes/lookup?probe=memcached')).body.probe['failing_alike']).toBeNull()
  })

  it('is found by name and target too', async () => {
    const byId = (await json(`/api/v1/probes/${jobs.dns.id}`)).body
    expect((await json('/api/v1/probes/lookup?probe=dns&target=10.0.0.53%3A53')).body).toEqual(byId)
    expect((await json('/api/v1/probes/lookup?probe=dns')).body).toEqual(byId)
  })

  it('says when there is none, or more than one', async () => {
    site.store.put(testJob({ name: 'dns', target: '10.0.0.54:53' }))
    expect(await json('/api/v1/probes/0123456789ab')).toEqual({ status: 404, body: { schema_version: 1, error: 'There is no probe with the id 0123456789ab.' } })
    expect((await json('/api/v1/probes/__proto__')).status).toBe(404)
    expect(await json('/api/v1/probes/lookup?probe=dns')).toMatchObject({ status: 400, body: { error: 'target: the probe has 2 targets, name one.' } })
    expect((await json('/api/v1/probes/lookup?probe=dns&target=x')).status).toBe(404)
    expect((await json('/api/v1/probes/lookup')).status).toBe(400)
    expect(await site.get('/api/v1/probes', { method: 'POST' })).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } })
  })

  it('is the one of the cluster that an alert is about, where its labels say which', async () => {
    site.store.put(testJob({ name: 'db', target: '10.0.2.1:80', labels: { cluster: 'eu', source_cluster: 'hub' } }))
    site.store.put(testJob({ name: 'db', target: '10.0.2.2:80', labels: { cluster: 'us' } }))
    const found = async (query: string) => {
      const { status, body } = await json(`/api/v1/diagnosis?${query}`)
      return status === 200 ? body.probe['target'] : status
    }
    expect(await Promise.all(['eu', 'us', 'asia'].map((cluster) => found(`probe=db&cluster=${cluster}`)))).toEqual(['10.0.2.1:80', '10.0.2.2:80', 404])
    expect(await found('probe=db&target=10.0.2.1:80&source_cluster=other')).toBe(404)
    expect(await found('probe=db&target=10.0.2.2:80&cluster=us&source_cluster=anywhere')).toBe('10.0.2.2:80')
    expect(await found('probe=dns&cluster=anywhere')).toBe('10.0.0.53:53')
    expect([await found('probe=db'), await found('probe=db&cluster=eu&cluster=us'), await found('probe=db&region=x'), await found('cluster=eu')]).toEqual([400, 400, 400, 400])
  })

  it('keeps secrets out of messages, also those learnt later', async () => {
    const job = testJob({ name: 'leaky' })
    site.store.put(job)
    site.store.record(resultOf(job, 'failed', T0, { failure: { ...REFUSED, message: 'password s3cr3t-of-redis refused' } }))
    taint('s3cr3t-of-redis')
    for (const path of [`/api/v1/probes/${job.id}`, '/api/v1/probes', '/']) {
      const { body } = await site.get(path)
      expect(body).toContain('refused')
      expect(body).not.toContain('s3cr3t')
    }
  })
})

describe('GET /', () => {
  it('shows failing ones first, explained ones after their cause, and unknown as unknown', async () => {
    const { body, headers } = await site.get('/')
    expect(headers['content-type']).toBe('text/html; charset=utf-8')
    expect(headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'sha256-/)
    const rows = [...body.matchAll(/<tr><td class="(\w+)">.*?<a href="\/api\/v1\/probes\/[0-9a-f]{12}">([^<]*)</g)].map(([, status, name]) => [status, name])
    expect(rows).toEqual([['failed', 'dns'], ['failed', 'redis'], ['unknown', 'memcached'], ['none', 'cron'], ['ok', 'tcp']])
    expect(body).toContain('The host is up, but nothing listens on the port.')
    expect(body).toContain('request / loading')
    expect(body).toContain(`<a href="/api/v1/probes/${jobs.dns.id}">dns/10.0.0.53:53</a>`)
    expect(body).toContain('root cause')
    expect(body).toContain('counts as healthy until 3 failures in a row (1 so far)')
    expect(body).toContain('<title>failed 2 · Curlew status</title>')
    expect(body).toContain('<meta http-equiv="refresh" content="15">')
    expect(body).toContain('overdue')
  })

  it('needs no script and nothing from elsewhere', async () => {
    const { body } = await site.get('/')
    expect(body).not.toMatch(/<script|javascript:|\son\w+=|<link|<img|@import|url\(/i)
    expect([...body.matchAll(/(?:href|src)="([^"]*)"/g)].every(([, url]) => url?.startsWith('/') && !url.startsWith('//'))).toBe(true)
  })

  it('speaks Chinese when asked', async () => {
    for (const answer of [await site.get('/?lang=zh'), await site.get('/', { headers: { 'accept-language': 'zh-CN,en;q=0.5' } })]) {
      expect(answer.body).toContain('<html lang="zh-CN">')
      expect(answer.body).toContain('主机在线，但该端口没有进程监听。')
      expect(answer.body).toContain('未知')
    }
    expect((await site.get('/?lang=zh')).body).toContain('href="/?lang=zh&amp;status=failed"')
    expect((await site.get('/')).headers['vary']).toBe('Accept-Language')
  })

  it('escapes whatever a target or a person wrote', async () => {
    const store = createStore()
    const evil = `<script>alert(1)</script>"'&amp;`
    const job = testJob({ name: evil, target: evil, type: evil })
    store.put(job)
    store.record(resultOf(job, 'failed', T0, { failure: { ...REFUSED, message: evil } }))
    const state = store.get(job.id)
    if (state) state.cause = { kind: 'explained', root: evil, rootId: evil, through: [] }
    const html = renderPage({ store, query: { lang: evil, status: evil, page: evil, refresh: evil }, language: 'en', ready: true, share: ALONE_SHARE, now: T0 })
    expect(html).not.toContain('<script')
    expect(html).not.toContain(evil)
    expect(html.split(escapeHtml(evil)).length - 1).toBe(6)
  })

  it('pages 10,000 probes, keeping the filter', async () => {
    const store = createStore()
    for (let index = 0; index < 10_000; index++) {
      const job = testJob({ name: `p${index}`, target: `10.0.0.1:${index + 1}`, fingerprint: 'x' })
      store.put(job)
      store.record(resultOf(job, index < 250 ? 'failed' : 'ok', T0))
    }
    const page = (query: Record<string, string>) => renderPage({ store, query, language: 'en', ready: true, share: ALONE_SHARE, now: T0 })
    const rowsOf = (html: string) => [...html.matchAll(/<th scope="row"><a [^>]*>(p\d+)</g)].map(([, name]) => name)
    expect(rowsOf(page({}))).toHaveLength(100)
    expect(page({})).toContain('Page 1 of 100')
    expect(page({}).length).toBeLessThan(150_000)
    expect(rowsOf(page({ status: 'failed', page: '3' }))).toEqual(Array.from({ length: 50 }, (_, index) => `p${200 + index}`))
    expect(page({ status: 'failed', page: '2' })).toContain('href="/?status=failed&amp;page=3"')
    for (const wrong of ['0', '-1', 'x', '1.5', '99999', 'Infinity', 'NaN']) expect(rowsOf(page({ page: wrong })).length).toBe(100)
    expect(page({ refresh: 'off' })).not.toContain('http-equiv="refresh"')
  })

  it('says when it is empty and when it is not ready', async () => {
    const empty = await startSite({ ready: () => false })
    const { status, body } = await empty.get('/')
    expect(status).toBe(200)
    expect(body).toContain('No probe is configured.')
    expect(body).toContain('Curlew is not ready')
    expect((await site.get('/?status=none')).body).toContain('cron')
  })

  it('says of a standby who is active, and of a shard what is its own', async () => {
    const standby = await startSite({ share: () => ({ active: false, lease: 'curlew-1', holder: 'curlew-0 <a>', shard: { index: 1, total: 3 }, expected: 90, owned: 0 }) })
    const { body } = await standby.get('/')
    expect(body).toContain('<strong>Standby: this replica probes nothing.</strong> Active is <strong>curlew-0 &lt;a&gt;</strong>')
    expect(body).toContain('Shard 2 of 3: 0 of 90 targets')
    expect(body).not.toContain('No probe is configured.')
    const chinese = (await standby.get('/?lang=zh')).body
    expect(chinese).toContain('待命：本副本不执行探测。')
    expect(chinese).toContain('第 2 个分片，共 3 个：90 个目标中的 0 个')
    expect(JSON.parse((await standby.get('/api/v1/probes')).body)).toMatchObject({
      replica: { active: false, lease: 'curlew-1', holder: 'curlew-0 <a>', shard: 1, shards: 3, targets_expected: 90, targets_owned: 0 },
    })
    expect((await standby.get('/-/ready')).status).toBe(200)
    const unknown = await startSite({ share: () => ({ ...ALONE_SHARE, active: false, lease: 'curlew' }) })
    expect((await unknown.get('/')).body).toContain('It is not known which replica is active.')
    expect((await site.get('/')).body).not.toMatch(/Standby|Shard/)
  })

  it('never calls an unknown target healthy or down', () => {
    const store = createStore()
    const job = testJob({ name: 'dark' })
    store.put(job)
    store.record(resultOf(job, 'ok', T0))
    store.record(resultOf(job, 'unknown', T0 + 1_000))
    const shown = (now: number) => renderPage({ store, query: {}, language: 'en', ready: true, share: ALONE_SHARE, now })
    expect(shown(T0 + 2_000)).toContain('was healthy when last known')
    expect(shown(T0 + 3_600_000)).not.toContain('when last known')
  })
})
