import { afterEach, describe, expect, it } from 'vitest'
import type { Webhook } from '../../src/exporter/http-webhook.ts'
import { accessTo } from '../../src/notify/access.ts'
import { notifySchema } from '../../src/notify/options.ts'
import { basic, bearer, BEHIND_PROXY, closeAll, HASH, startSite, TOKEN, webFile } from './http-support.ts'

afterEach(closeAll)

const PATH = '/webhook/alertmanager'
const NOTIFY_TOKEN = 'token-of-the-webhook'
const ROUTE_TOKEN = 'token-of-one-route'
const channels = [{ name: 'ops', type: 'slack', url: 'https://hooks.slack.com/services/T/B/X' }]
const configured = (more: object) => notifySchema.parse({ channels, routes: [{ name: 'db', channel: 'ops', token: ROUTE_TOKEN }, { name: 'open', channel: 'ops' }], ...more })

async function started(notify: object = { token: NOTIFY_TOKEN }, webConfig?: string) {
  const config = configured(notify)
  const received: { route: string | undefined, bytes: number }[] = []
  const answered: number[] = []
  const hook: Webhook = {
    access: (route, authorization) => accessTo(config, route, authorization),
    receive(route, body) {
      received.push({ route, bytes: body.length })
      return Promise.resolve(body.toString() === 'bad' ? { status: 400, text: 'The body is no JSON.' } : body.toString() === 'hung' ? { status: 503, text: 'Try again.' } : { status: 200, text: 'ok' })
    },
    answered: (status) => answered.push(status),
  }
  const site = await startSite({ webhook: () => hook, ...(webConfig === undefined ? {} : { webConfigFile: webFile(webConfig) }) })
  const post = async (path: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = bearer(NOTIFY_TOKEN)) => {
    const response = await fetch(`http://localhost:${site.port}${path}`, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers }, redirect: 'manual' })
    return { status: response.status, text: await response.text(), headers: response.headers }
  }
  return { post, received, answered, site }
}

describe('who may send', () => {
  it.each([
    ['the token', PATH, bearer(NOTIFY_TOKEN), 200],
    ['the token as a password', PATH, basic('anybody', NOTIFY_TOKEN), 200],
    ['the token, with a slash at the end', `${PATH}/`, bearer(NOTIFY_TOKEN), 200],
    ["a route's own token, with a slash at the end", `${PATH}/db/`, bearer(ROUTE_TOKEN), 200],
    ['no token', PATH, {}, 401],
    ['another token', PATH, bearer('token-of-the-webhooks'), 401],
    ['another password', PATH, basic(NOTIFY_TOKEN, 'wrong'), 401],
    ["a route's own token", `${PATH}/db`, bearer(ROUTE_TOKEN), 200],
    ['the common token where a route has its own', `${PATH}/db`, bearer(NOTIFY_TOKEN), 401],
    ['the common token where it has none', `${PATH}/open`, bearer(NOTIFY_TOKEN), 200],
    ["another route's token", PATH, bearer(ROUTE_TOKEN), 401],
    ['a route that is not there', `${PATH}/nowhere`, bearer(NOTIFY_TOKEN), 404],
    ['a route that is not there, to a stranger', `${PATH}/nowhere`, {}, 401],
  ] as const)('%s at %s', async (_what, path, headers, status) => {
    const { post, received, answered } = await started()
    const answer = await post(path, '{}', headers)
    expect(answer.status).toBe(status)
    expect(received).toHaveLength(status === 200 ? 1 : 0)
    if (status === 401) expect(answer.headers.get('www-authenticate')).toContain('Bearer')
    expect(answered).toEqual([status])
  })

  it('everybody, where the config says so, and from wherever', async () => {
    const { post } = await started({ allow_unauthenticated: true, routes: [{ channel: 'ops' }] })
    expect((await post(PATH, '{}', BEHIND_PROXY)).status).toBe(200)
  })

  it('whom the web-config file lets in, where there is no token', async () => {
    const web = `basic_auth_users: { alice: "${HASH}" }\nbearer_tokens: [{ name: am, token: ${TOKEN}, scopes: [notify] }, { name: scrape, token: read-only-0123456789, scopes: [read] }]\n`
    const { post } = await started({ routes: [{ channel: 'ops' }] }, web)
    expect((await post(PATH, '{}', bearer(TOKEN))).status).toBe(200)
    expect((await post(PATH, '{}', basic('alice', 'correct horse'))).status).toBe(200)
    expect((await post(PATH, '{}', bearer('read-only-0123456789'))).status).toBe(403)
    expect((await post(PATH, '{}', {})).status).toBe(401)
  })

  it('nobody, where neither says who', async () => {
    const { post } = await started({ routes: [{ channel: 'ops' }] })
    expect(await post(PATH, '{}', {})).toMatchObject({ status: 403, text: expect.stringContaining('set notify.token') })
  })

  it('is never told to slow down, which Alertmanager would take for a refusal', async () => {
    const { post } = await started({ token: NOTIFY_TOKEN }, 'rate_limit: { interval: 1h, burst: 1 }\n')
    for (let count = 0; count < 15; count++) expect((await post(PATH, '{}', bearer('wrong'))).status).toBe(401)
    for (let count = 0; count < 5; count++) expect((await post(PATH, '{}')).status).toBe(200)
  })
})

describe('what is answered', () => {
  it('what the outbox says', async () => {
    const { post } = await started()
    expect(await post(PATH, '{}')).toMatchObject({ status: 200, text: 'ok\n' })
    expect(await post(PATH, 'bad')).toMatchObject({ status: 400, text: 'The body is no JSON.\n' })
    expect(await post(PATH, 'hung')).toMatchObject({ status: 503, text: 'Try again.\n' })
  })

  it('10 MB are taken, more is refused with a sentence, whether it is announced or not', async () => {
    const { post, received, site } = await started()
    expect((await post(PATH, new Uint8Array(10 * 1024 * 1024))).status).toBe(200)
    expect(received).toEqual([{ route: undefined, bytes: 10 * 1024 * 1024 }])
    expect(await post(PATH, new Uint8Array(10 * 1024 * 1024 + 1))).toMatchObject({ status: 413, text: expect.stringContaining('max_alerts') })
    const chunked = await fetch(`http://localhost:${site.port}${PATH}`, {
      method: 'POST', headers: bearer(NOTIFY_TOKEN), duplex: 'half',
      body: new ReadableStream({ start(controller) { for (let count = 0; count < 11; count++) controller.enqueue(new Uint8Array(1024 * 1024)); controller.close() } }),
    }).then(({ status }) => status, () => 'cut')
    // Who still sends may find the connection closed before it reads the answer.
    expect([413, 'cut']).toContain(chunked)
    expect(received).toHaveLength(1)
  })

  it('a compressed body is refused, and only POST is understood', async () => {
    const { post, site } = await started()
    expect((await post(PATH, '{}', { ...bearer(NOTIFY_TOKEN), 'content-encoding': 'gzip' })).status).toBe(400)
    expect((await site.get(PATH)).status).toBe(405)
  })

  it('there is nothing without a section notify', async () => {
    const site = await startSite({})
    const answer = await fetch(`http://localhost:${site.port}${PATH}`, { method: 'POST', body: '{}' })
    expect(answer.status).toBe(404)
  })
})
