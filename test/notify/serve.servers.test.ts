import { readFileSync, rmSync } from 'node:fs'
import { createServer as createTlsServer } from 'node:https'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { makeCertificates } from '../support/certificates.ts'
import { runCurlew, serveCurlew } from '../support/curlew.ts'
import { firing, postAlerts, textOf, TOKEN } from '../support/notify.ts'
import { createOwner } from '../support/owner.ts'
import { eventually } from '../support/process.ts'
import { listening } from '../support/tcp.ts'
import { fakeSlack, slackEntry } from './fakes/slack.ts'

const owner = createOwner()
afterEach(() => owner.end())

it('asks the Curlew that owns the probe, and shows, sends again and forgets what was given up', { timeout: 30_000 }, async () => {
  const { path, write } = owner.place()
  // Its rate would be in the way of `notify test`, which goes past ours.
  const slack = await owner.opened(fakeSlack({ rates: [] }))
  const prober = await owner.started(serveCurlew(['-c', write('owner.yaml', { probes: [{ name: 'cache', type: 'redis', target: '127.0.0.1:1', every: '200ms', timeout: '150ms' }] })], { cwd: path }))
  const config = write('curlew.yaml', {
    notify: { token: TOKEN, allow_private_destinations: true, curlews: [{ url: prober.url, match: ['severity="critical"'] }, { url: 'http://127.0.0.1:1', match: ['severity="info"'] }], channels: [{ name: 'ops', type: 'slack', ...slackEntry(slack) }], routes: [{ channel: 'ops' }] },
  })
  const curlew = await owner.started(serveCurlew(['-c', config], { cwd: path, serve: ['notify', 'serve'] }))
  // It probes nothing itself.
  expect(await curlew.samples(/^probe_/)).toEqual([])
  await eventually(async () => (await postAlerts(curlew.url, firing('DependencyDown', { probe: 'cache', target: '127.0.0.1:1' }))).status === 200, 8_000, 'the webhook')
  await eventually(() => slack.accepted() === 1)
  expect(textOf(slack)).toContain('connect refused')

  slack.fail(() => ({ status: 400, body: 'invalid_blocks' }))
  await eventually(async () => (await postAlerts(curlew.url, firing('Refused'))).status === 200, 8_000, 'the webhook')
  const dead = (...args: string[]) => runCurlew(['notify', 'dead', ...args, '-c', config], { cwd: path })
  const listed = await eventually(async () => {
    const { stdout } = await dead()
    return stdout.includes('1 alert given up') ? stdout : undefined
  }, 8_000, 'a dead alert')
  expect(listed).toMatch(/ops {2}Refused firing {2}rejected/)
  const id = /^\s*(\d+)/.exec(listed)?.[1] ?? ''
  expect(JSON.parse((await dead('show', id)).stdout)).toMatchObject({ id, channel: 'ops', reason: 'rejected', alert: { labels: { alertname: 'Refused' } } })
  await eventually(async () => (await postAlerts(curlew.url, firing('Forgotten'))).status === 200, 8_000, 'the webhook')
  await eventually(async () => (await dead()).stdout.includes('2 alerts given up'), 8_000, 'another dead alert')
  expect((await dead('forget')).code).toBe(2)
  expect(await dead('forget', String(Number(id) + 1))).toMatchObject({ code: 0, stdout: '1 alert forgotten\n' })
  slack.fail(() => undefined)
  expect(await dead('resend', id)).toMatchObject({ code: 0, stdout: '1 alert queued again\n' })
  await eventually(() => textOf(slack).includes('Refused'), 5_000, 'the alert')
  expect((await dead()).stdout).toBe('0 alerts given up\n')
  expect(textOf(slack)).not.toContain('Forgotten')
  expect((await dead('show', '999')).code).toBe(2)
  expect(await dead('resend', '999')).toMatchObject({ code: 1, stdout: '0 alerts queued again\n', stderr: expect.stringContaining('there is no dead alert 999') })
  for (const secret of [TOKEN, 'xxxxxxxxxxxx', 'services/T0']) {
    for (const text of [curlew.output(), listed, (await curlew.get('/metrics')).text, (await curlew.get('/config')).text]) expect(text).not.toContain(secret)
  }

  expect(await runCurlew(['notify', 'test', 'ops', '-c', config, '--lang', 'zh'], { cwd: path })).toMatchObject({ code: 0, stdout: 'ops: taken by the service\n' })
  expect(textOf(slack)).toContain('测试消息')
  slack.fail(() => ({ status: 404, body: 'no_service' }))
  expect(await runCurlew(['notify', 'test', 'ops', '-c', config], { cwd: path })).toMatchObject({ code: 1, stdout: expect.stringContaining('not taken (gone)') })
  expect(await runCurlew(['notify', 'test', 'nobody', '-c', config], { cwd: path })).toMatchObject({ code: 2, stderr: expect.stringContaining('expected one of ops') })
})

it('asks the Curlew of the cluster that the alert is about, where both have a probe of the same name, and only with its token', { timeout: 30_000 }, async () => {
  const { path, write } = owner.place()
  const slack = await owner.opened(fakeSlack())
  const probes = (labels: object, target: string) => [{ name: 'cache', type: 'tcp', target, every: '200ms', timeout: '150ms', labels }]
  const web = write('web.yml', { bearer_tokens: [{ name: 'forwarder', token: TOKEN, scopes: ['read'] }] })
  const us = await owner.started(serveCurlew(['-c', write('us.yaml', { probes: probes({ cluster: 'us' }, '127.0.0.1:1') }), '--web.config.file', web], { cwd: path }))
  const answering = new URL(us.url).host
  expect((await us.get('/api/v1/diagnosis?probe=cache')).status).toBe(401)
  const config = write('curlew.yaml', {
    probes: probes({ cluster: 'eu' }, answering),
    notify: { token: TOKEN, allow_private_destinations: true, curlews: [{ url: us.url, token: TOKEN }], channels: [{ name: 'ops', type: 'slack', ...slackEntry(slack) }], routes: [{ channel: 'ops' }] },
  })
  const curlew = await owner.started(serveCurlew(['-c', config], { cwd: path }))
  const tell = async (cluster: string) => {
    await eventually(async () => (await postAlerts(curlew.url, firing(`Down-${cluster}`, { probe: 'cache', cluster }))).status === 200, 8_000, 'the webhook')
    return eventually(() => slack.messages.map(({ body }) => JSON.stringify(body)).find((body) => body.includes(`Down-${cluster}`) || body.includes(`cluster=${cluster}`)), 8_000, 'the message')
  }
  await eventually(async () => await curlew.value('probe_success') === 1, 8_000, 'a run')
  expect(await tell('us')).toContain('connect refused')
  const there = await tell('eu')
  expect(there).toContain('answers')
  expect(there).not.toContain('refused')
})

it('goes on probing where the section that a reload has added cannot be used, and tries again', { timeout: 30_000 }, async () => {
  const { path, write } = owner.place()
  const probes = [{ name: 'here', type: 'tcp', target: '127.0.0.1:1', every: '200ms', timeout: '150ms' }]
  const config = write('curlew.yaml', { probes })
  const curlew = await owner.started(serveCurlew(['-c', config], { cwd: path }))
  const notify = { token: TOKEN, storage: { path: join(write('file', ''), 'below') }, channels: [{ name: 'ops', type: 'webhook', url: 'https://example.org/', secret: 'a-secret-that-is-long-enough' }], routes: [{ channel: 'ops' }] }
  write('curlew.yaml', { probes, notify })
  process.kill(curlew.pid, 'SIGHUP')
  await eventually(() => curlew.output().includes('is not a directory'), 8_000, 'a sentence')
  expect((await postAlerts(curlew.url, firing('Early'))).status).toBe(503)
  expect((await curlew.get('/-/healthy')).status).toBe(200)
  rmSync(join(path, 'file'))
  await eventually(async () => (await postAlerts(curlew.url, firing('Later'))).status === 200, 15_000, 'the webhook')
})

it('finds files of TLS where Curlew was started, and stays as it was where a reload names a proxy that cannot be used', { timeout: 30_000 }, async () => {
  const { path, write } = owner.place()
  const { caFile, good } = makeCertificates()
  let taken = 0
  const service = await owner.opened(listening(createTlsServer({ cert: good.cert, key: good.key }, (request, response) => {
    request.resume().on('end', () => { taken++; response.end('ok') })
  })))
  write('ca.pem', readFileSync(caFile, 'utf8'))
  const channel = { name: 'ops', type: 'webhook', url: `https://localhost:${service.port}/`, secret: 'a-secret-that-is-long-enough', ca_file: 'ca.pem' }
  const section = (more: object) => ({ notify: { token: TOKEN, allow_private_destinations: true, channels: [{ ...channel, ...more }], routes: [{ channel: 'ops' }] } })
  const curlew = await owner.started(serveCurlew(['-c', write('curlew.yaml', section({}))], { cwd: path, serve: ['notify', 'serve'], env: { https_proxy: 'socks5://127.0.0.1:1' } }))
  await eventually(async () => (await postAlerts(curlew.url, firing('First'))).status === 200, 8_000, 'the webhook')
  await eventually(() => taken === 1, 5_000, 'the alert')

  const changed = write('curlew.yaml', section({ proxy_from_environment: true }))
  const tried = await runCurlew(['notify', 'test', 'ops', '-c', changed], { cwd: path, env: { https_proxy: 'socks5://127.0.0.1:1' } })
  expect(tried).toMatchObject({ code: 2, stderr: expect.stringContaining('https_proxy is no http:// or https:// URL of a proxy') })
  expect(tried.stderr).not.toContain('inside Curlew')
  process.kill(curlew.pid, 'SIGHUP')
  await eventually(() => curlew.output().includes('https_proxy is no http:// or https:// URL of a proxy'), 8_000, 'a sentence')
  await eventually(async () => (await postAlerts(curlew.url, firing('Second'))).status === 200, 8_000, 'the webhook')
  await eventually(() => taken === 2, 5_000, 'the second alert')
  expect(curlew.output()).toContain('the old one stays')
})
