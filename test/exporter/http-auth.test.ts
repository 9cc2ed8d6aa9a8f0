import { hashSync } from 'bcryptjs'
import { rmSync, writeFileSync } from 'node:fs'
import { setImmediate as tick } from 'node:timers/promises'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { createAuthenticator, createRateLimit } from '../../src/exporter/auth.ts'
import { CannotCompare, createComparer, workerUrl, type Comparer } from '../../src/exporter/http-bcrypt.ts'
import type { Scope } from '../../src/exporter/web-config-schema.ts'
import type { BearerToken } from '../../src/exporter/web-config.ts'
import { eventually } from '../support/process.ts'
import { basic, bearer, BEHIND_PROXY, closeAll, HASH, OPERATE_TOKEN, startSite, TOKEN, webFile } from './http-support.ts'

afterEach(closeAll)

const CONFIG = `basic_auth_users:\n  alice: ${HASH}\nbearer_tokens:\n  - { name: scraper, token: ${TOKEN}, scopes: [read] }\n  - { name: deployer, token: ${OPERATE_TOKEN}, scopes: [operate] }\n`
const PATHS: [string, string][] = [['GET', '/metrics'], ['GET', '/'], ['GET', '/config'], ['GET', '/api/v1/probes'], ['GET', '/nothing'], ['POST', '/-/reload']]

describe('with users and tokens', () => {
  it('needs a login everywhere but for kubelet, from this machine too', async () => {
    const site = await startSite({ webConfigFile: webFile(CONFIG) })
    for (const [method, path] of PATHS) {
      expect(await site.get(path, { method })).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Basic realm="curlew", charset="UTF-8", Bearer realm="curlew"' } })
    }
    expect((await site.get('/')).body).toBe('Log in with a user name and password or a bearer token of the web-config file.\n')
    for (const path of ['/-/healthy', '/-/ready']) expect((await site.get(path)).status).toBe(200)
  })

  it.each([
    ['a user', basic('alice', 'correct horse'), [200, 200, 200, 200, 404, 200]],
    ['a token that may read', bearer(TOKEN), [200, 200, 200, 200, 404, 403]],
    ['a token that may operate', bearer(OPERATE_TOKEN), [200, 200, 200, 200, 404, 200]],
    ['a wrong password', basic('alice', 'wrong horse'), [401, 401, 401, 401, 401, 401]],
    ['an unknown user', basic('mallory', 'correct horse'), [401, 401, 401, 401, 401, 401]],
    ['a wrong token', bearer(`${TOKEN}x`), [401, 401, 401, 401, 401, 401]],
  ])('lets %s do what it may', async (_name, headers, expected) => {
    const site = await startSite({ webConfigFile: webFile(CONFIG) })
    const statuses: number[] = []
    for (const [method, path] of PATHS) statuses.push((await site.get(path, { method, headers: { ...headers, ...BEHIND_PROXY } })).status)
    expect(statuses).toEqual(expected)
  })

  it.each([
    'Basic', 'Basic ', 'Basic !!!!', `Basic ${Buffer.from('alice').toString('base64')}`, 'Bearer', 'Bearer ', `Bearer ${TOKEN} x`, `Token ${TOKEN}`, 'Digest username="alice"',
    basic('', '').authorization, basic('__proto__', 'x').authorization, basic('constructor', 'x').authorization, basic('alice', '').authorization,
  ])('refuses Authorization: %s', async (authorization) => {
    const site = await startSite({ webConfigFile: webFile(CONFIG) })
    expect((await site.get('/metrics', { headers: { authorization } })).status).toBe(401)
  })

  it('says which scope is missing', async () => {
    const site = await startSite({ webConfigFile: webFile(CONFIG) })
    expect((await site.get('/-/reload', { method: 'POST', headers: bearer(TOKEN) })).body).toBe('The token scraper lacks the scope operate: give it in bearer_tokens of the web-config file.\n')
  })

  it('logs who has reloaded, and failed logins without what was sent', async () => {
    const site = await startSite({ webConfigFile: webFile(CONFIG) })
    await site.get('/-/reload', { method: 'POST', headers: bearer(OPERATE_TOKEN) })
    await site.get('/', { headers: basic('alice', 'planted-password') })
    expect(site.logged).toEqual([
      { level: 'info', message: 'reload asked for over HTTP', fields: { by: 'token deployer' } },
      { level: 'warn', message: 'a login failed', fields: { address: '127.0.0.1', failures: 1 } },
    ])
  })

  it('still opens what the config calls public, for reading', async () => {
    const site = await startSite({ webConfigFile: webFile(CONFIG), publicStatus: () => true })
    const statuses = await Promise.all(PATHS.map(async ([method, path]) => (await site.get(path, { method, headers: BEHIND_PROXY })).status))
    expect(statuses).toEqual([401, 200, 200, 200, 401, 401])
    expect((await site.get('/', { headers: bearer('wrong-wrong-wrong-wrong') })).status).toBe(401)
  })

  it('refuses a page of another site although the browser knows the password', async () => {
    const site = await startSite({ webConfigFile: webFile(CONFIG) })
    expect((await site.get('/-/reload', { method: 'POST', headers: { ...basic('alice', 'correct horse'), origin: 'https://evil.example' } })).status).toBe(403)
  })

  it('slows down an address that guesses, but not who is logged in already', async () => {
    const site = await startSite({ webConfigFile: webFile(CONFIG) })
    expect((await site.get('/metrics', { headers: basic('alice', 'correct horse') })).status).toBe(200)
    for (let guess = 0; guess < 10; guess++) expect((await site.get('/metrics', { headers: basic('alice', `guess ${guess}`) })).status).toBe(401)
    expect(await site.get('/metrics', { headers: basic('alice', 'guess 11') })).toMatchObject({ status: 429, headers: { 'retry-after': '60' } })
    expect((await site.get('/metrics', { headers: basic('alice', 'correct horse') })).status).toBe(200)
    expect((await site.get('/metrics', { headers: bearer(TOKEN) })).status).toBe(200)
  })
})

describe('the file at run time', () => {
  it('is read again when it changes, and lets nobody in while it is broken', async () => {
    const file = webFile(CONFIG)
    const site = await startSite({ webConfigFile: file })
    const status = async (headers: Record<string, string>) => (await site.get('/metrics', { headers })).status
    expect(await status(bearer(TOKEN))).toBe(200)

    writeFileSync(file, `basic_auth_users:\n  bob: ${hashSync('battery', 4)}\n`)
    await eventually(async () => await status(bearer(TOKEN)) === 401)
    expect(await status(basic('bob', 'battery'))).toBe(200)
    expect(await status(basic('alice', 'correct horse'))).toBe(401)

    rmSync(file)
    await eventually(async () => await status(basic('bob', 'battery')) === 500)
    expect((await site.get('/')).body).toBe("The web-config file cannot be used: Curlew's log says why.\n")
    expect((await site.get('/-/healthy')).status).toBe(200)
    expect(site.logged.at(-1)).toMatchObject({ level: 'error', fields: { problems: [`${file}:1:1: cannot read ${file} (ENOENT)`] } })

    writeFileSync(file, CONFIG)
    await eventually(async () => await status(bearer(TOKEN)) === 200)
  })

  it('stops the start when it is bad, with every mistake', async () => {
    const file = webFile('basic_auth_users: { a: b }\nwrong: 1\n')
    await expect(startSite({ webConfigFile: file })).rejects.toThrow(`${file}:1:24: basic_auth_users.a: expected a bcrypt hash, as htpasswd -nBC 10 prints it\n${file}:2:1: wrong: unknown key`)
  })

  it('leaves a site without users as open and as closed as before', async () => {
    const site = await startSite({ webConfigFile: webFile('http_server_config: { headers: { X-Frame-Options: sameorigin, Strict-Transport-Security: max-age=1, Content-Security-Policy: "default-src https:" } }\n') })
    expect((await site.get('/metrics', { headers: BEHIND_PROXY })).status).toBe(200)
    expect((await site.get('/', { headers: BEHIND_PROXY })).status).toBe(403)
    expect((await site.get('/')).headers).toMatchObject({ 'x-frame-options': 'sameorigin', 'strict-transport-security': 'max-age=1', 'content-security-policy': 'default-src https:' })
  })

  it('limits the rate of requests, but never of kubelet', async () => {
    const site = await startSite({ webConfigFile: webFile('rate_limit: { interval: 1h, burst: 2 }\n') })
    const statuses: number[] = []
    for (let asked = 0; asked < 3; asked++) statuses.push((await site.get('/metrics')).status)
    expect(statuses).toEqual([200, 200, 429])
    expect((await site.get('/-/healthy')).status).toBe(200)
  })
})

it('saves up at most a burst', () => {
  let now = 0
  const bucket = createRateLimit({ intervalMs: 1_000, burst: 2 }, () => now)
  expect([bucket.take(), bucket.take(), bucket.take()]).toEqual([true, true, false])
  now = 1_000
  expect([bucket.take(), bucket.take()]).toEqual([true, false])
  now = 60_000
  expect([bucket.take(), bucket.take(), bucket.take()]).toEqual([true, true, false])
})

describe('the authenticator', () => {
  const users = new Map([['alice', HASH]])
  const tokens: BearerToken[] = [{ name: 't', token: TOKEN, scopes: new Set<Scope>(['read']) }]

  /** Counts comparisons; says yes to one password. */
  function counting() {
    const asked: { password: string, hash: string }[] = []
    const comparer: Comparer = { compare: async (password, hash) => { asked.push({ password, hash }); await tick(); return password === 'right' }, close: async () => {} }
    return { asked, authenticator: createAuthenticator(comparer, () => {}) }
  }
  const login = (authenticator: ReturnType<typeof createAuthenticator>, user: string, password: string, address = 'a') => authenticator.login(basic(user, password).authorization, address, { users, tokens })

  it('compares each pair once, also when several ask at a time', async () => {
    const { asked, authenticator } = counting()
    const logins = await Promise.all([login(authenticator, 'alice', 'right'), login(authenticator, 'alice', 'right'), login(authenticator, 'alice', 'wrong')])
    expect(logins.map((outcome) => 'principal' in outcome)).toEqual([true, true, false])
    await login(authenticator, 'alice', 'right')
    await login(authenticator, 'alice', 'wrong')
    expect(asked.map(({ password }) => password)).toEqual(['right', 'wrong'])
  })

  it('forgets the oldest of 100 results, and a result when the hash changes', async () => {
    const { asked, authenticator } = counting()
    await login(authenticator, 'alice', 'right')
    for (let guess = 0; guess < 100; guess++) await login(authenticator, 'alice', `guess ${guess}`, `address ${guess}`)
    expect(asked).toHaveLength(101)
    await login(authenticator, 'alice', 'right')
    expect(asked).toHaveLength(102)
    await authenticator.login(basic('alice', 'right').authorization, 'a', { users: new Map([['alice', HASH.replace(/.$/, 'x')]]), tokens })
    expect(asked).toHaveLength(103)
  })

  it('takes as long for an unknown user, whom no password lets in', async () => {
    const { asked, authenticator } = counting()
    expect(await login(authenticator, 'nobody', 'right')).toMatchObject({ status: 401 })
    expect(asked[0]?.hash).toMatch(/^\$2b\$04\$[./A-Za-z0-9]{53}$/)
  })

  it('compares no password of an address that has failed too often', async () => {
    let compared = 0
    const counting = createAuthenticator({ compare: async () => { compared++; return false }, close: async () => {} }, () => {})
    for (let attempt = 0; attempt < 15; attempt++) {
      await counting.login(basic('alice', `wrong ${attempt}`).authorization, '192.0.2.7', { users: new Map([['alice', HASH]]), tokens: [] })
    }
    expect(compared).toBe(10)
  })

  it('answers 503 when the password cannot be compared', async () => {
    const broken = createAuthenticator({ compare: async () => { throw new CannotCompare('too many logins at a time') }, close: async () => {} }, () => {})
    expect(await login(broken, 'alice', 'right')).toEqual({ status: 503, message: 'The password could not be checked (too many logins at a time): try again.' })
  })

  it('knows no more than 1,000 guessing addresses', async () => {
    const { authenticator } = counting()
    for (let guess = 0; guess < 11; guess++) await authenticator.login('Bearer wrong', 'first', { users, tokens })
    expect(await authenticator.login('Bearer wrong', 'first', { users, tokens })).toMatchObject({ status: 429 })
    for (let address = 0; address < 1_000; address++) await authenticator.login('Bearer wrong', `address ${address}`, { users, tokens })
    expect(await authenticator.login('Bearer wrong', 'first', { users, tokens })).toMatchObject({ status: 401 })
  })
})

describe('the bcrypt thread', () => {
  const comparers: Comparer[] = []
  const start = (...args: Parameters<typeof createComparer>) => {
    const comparer = createComparer(...args)
    comparers.push(comparer)
    return comparer
  }
  afterAll(() => Promise.all(comparers.map((comparer) => comparer.close())))
  const script = (code: string) => new URL(`data:text/javascript,${encodeURIComponent(`import { parentPort } from 'node:worker_threads'\n${code}`)}`)

  it('compares every common kind of hash', async () => {
    const comparer = start()
    for (const kind of ['$2a$', '$2b$', '$2y$']) {
      expect(await comparer.compare('correct horse', HASH.replace('$2b$', kind))).toBe(true)
      expect(await comparer.compare('correct hors', HASH.replace('$2b$', kind))).toBe(false)
    }
    expect(await comparer.compare('пароль 密码', hashSync('пароль 密码', 4))).toBe(true)
  })

  it('leaves the event loop free', async () => {
    const comparer = start()
    await comparer.compare('warm', HASH)
    const slow = comparer.compare('correct horse', hashSync('correct horse', 12))
    let turns = 0
    let done = false
    void slow.then(() => { done = true })
    while (!done) {
      turns++
      await tick()
    }
    expect(await slow).toBe(true)
    expect(turns).toBeGreaterThan(50)
  })

  it('refuses more than 17 at a time, and answers those it took', async () => {
    const comparer = start()
    const all = await Promise.allSettled(Array.from({ length: 30 }, () => comparer.compare('correct horse', HASH)))
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(17)
    expect(all.at(-1)).toMatchObject({ reason: { name: 'CannotCompare', message: 'too many logins at a time' } })
  })

  it('starts again when it has died', async () => {
    const comparer = start(script(`parentPort.on('message', ({ password }) => { if (password === 'die') process.exit(1); if (password === 'throw') throw new Error('broken'); parentPort.postMessage(true) })`))
    await expect(comparer.compare('die', '')).rejects.toThrow('the bcrypt thread ended')
    expect(await comparer.compare('live', '')).toBe(true)
    await expect(comparer.compare('throw', '')).rejects.toThrow('the bcrypt thread failed: broken')
    const [first, second] = await Promise.allSettled([comparer.compare('die', ''), comparer.compare('live', '')])
    expect([first.status, second.status]).toEqual(['rejected', 'fulfilled'])
  })

  it('is ended when it takes too long, and when it is closed', async () => {
    const silent = start(script(`parentPort.on('message', () => {})`), 200)
    await expect(silent.compare('a', '')).rejects.toThrow('the comparison took more than 0.2 s')
    const closing = start(script(`parentPort.on('message', () => {})`))
    const [open] = await Promise.allSettled([closing.compare('a', ''), closing.close()])
    expect(open).toMatchObject({ status: 'rejected', reason: { message: 'Curlew is stopping' } })
    await expect(closing.compare('a', '')).rejects.toThrow(CannotCompare)
  })

  it('is found beside the source and beside the bundle', () => {
    expect(workerUrl('file:///a/src/exporter/http-bcrypt.ts').href).toBe('file:///a/src/exporter/bcrypt-worker.ts')
    expect(workerUrl('file:///a/dist/cli.js').href).toBe('file:///a/dist/bcrypt-worker.js')
  })
})
