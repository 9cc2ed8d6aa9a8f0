import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { check } from '../../src/commands/check.ts'
import { startKubeApi, type KubeApi } from '../support/kube-api.ts'
import { temporaryDirectory } from '../support/process.ts'

const directory = temporaryDirectory()
const PASSWORD = 'canary-of-a-tenants-secret'
let api: KubeApi
let config: string

beforeAll(async () => {
  api = await startKubeApi({ plain: true })
  const service = (name: string, annotations: Record<string, string>) => api.put({ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'shop', annotations }, spec: { ports: [{ name: 'redis', port: 6379 }] } })
  service('redis', { 'curlew.dev/probe': 'redis', 'curlew.dev/secret': 'login', 'curlew.dev/depends-on': 'own' })
  service('wrong', { 'curlew.dev/probe': 'redis', 'curlew.dev/options': '{"password": "x"}' })
  api.put({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'login', namespace: 'shop' }, data: { password: Buffer.from(PASSWORD).toString('base64') } })
  config = join(directory.path, 'curlew.yaml')
  writeFileSync(config, `probes: [{ name: own, type: tcp, target: "127.0.0.1:1", cron: "0 3 * * *" }]\nkubernetes: { clusters: [{ name: room, kubeconfig: ${api.kubeconfig()}, inside: true }] }\ndiscovery: { kubernetes: { annotations: true, secrets: true } }\n`)
})
afterAll(async () => {
  await api.stop()
  directory.remove()
})

/** The command as a person would run it, in this process. */
async function ran(...args: string[]) {
  let out = ''
  let err = ''
  const code = await check(args.includes('-c') ? args : [...args, '-c', config], { env: {}, color: false, out: (text) => { out += text }, err: (text) => { err += text }, signal: new AbortController().signal, onHangup: () => {} })
  return { code, out, err }
}

it('prints what would be probed and why, what is refused, and no secret', async () => {
  const { code, out } = await ran('--plan')
  expect(out).toBe([
    'own tcp 127.0.0.1:1, cron 0 3 * * *, read-write', `    config: probes of ${config}`,
    'shop_redis redis redis.shop.svc.cluster.local:6379, every 1m, read-only', '    kubernetes:room:service: Service shop/redis, annotation curlew.dev/probe',
    'not probed as asked: room: Service shop/wrong: curlew.dev/options: password: expected one of db, tls, server_name, insecure_skip_verify, min_version, ip_protocol: what discovery.allow names for redis',
    '2 targets, 1 not probed as asked', '',
  ].join('\n'))
  expect(code).toBe(0)
  const json = await ran('--plan', '-o', 'json')
  expect(JSON.parse(json.out)).toMatchObject({
    schema_version: 1, unasked: [], refused: [{ cluster: 'room', object: 'Service shop/wrong', namespace: 'shop' }],
    targets: [{ name: 'own', source: 'config', cron: '0 3 * * *' }, { name: 'shop_redis', source: 'kubernetes:room:service', object: 'Service shop/redis', every_seconds: 60, depends_on: ['own'], labels: { cluster: 'room', namespace: 'shop' } }],
  })
  expect(out + json.out).not.toContain(PASSWORD)
})

it('checks what is found, by its name too, and asks no cluster for what the config itself has', async () => {
  const found = await ran('shop_redis', '-o', 'json')
  expect(JSON.parse(found.out)).toMatchObject({ results: [{ name: 'shop_redis', status: 'failed' }] })
  expect(found.out + found.err).not.toContain(PASSWORD)
  const asked = api.requests().length
  await ran('own')
  expect(api.requests().length).toBe(asked)
})

it('says once what is left out of a cluster that Curlew is not inside of', async () => {
  const away = join(directory.path, 'away.yaml')
  writeFileSync(away, `kubernetes: { clusters: [{ name: room-b, kubeconfig: ${api.kubeconfig()} }] }\ndiscovery: { kubernetes: { annotations: [service, ingress], health: [nodes, certificates] } }\n`)
  const { code, out } = await ran('--plan', '-c', away)
  expect(out).toBe('cluster room-b: not looked at, because Curlew is not inside (kubernetes.clusters[].inside): annotations and rules of Service; its kubelets\n0 targets, 0 not probed as asked\n')
  expect(code).toBe(0)
  expect(JSON.parse((await ran('--plan', '-o', 'json', '-c', away)).out)).toMatchObject({ left_out: [{ cluster: 'room-b' }] })
})

it('exits 3 when a cluster cannot be asked, and says why', async () => {
  const end = api.fault('GET ', { status: 503, message: 'away' })
  const { code, out, err } = await ran('--plan')
  end()
  expect(code).toBe(3)
  expect(err).toMatch(/^curlew: discovery: cluster room: (?!.*cluster).*503/m)
  expect(out).toContain('not asked: kubernetes:room:service: ')
  expect(out).toContain('own tcp')
})

it('says what it may not list, and that is no mistake', async () => {
  const whole = readFileSync(config, 'utf8')
  writeFileSync(config, whole.replace('annotations: true, secrets: true', 'health: [certificates]'))
  api.forbid('GET /api/v1/secrets')
  const { code, out, err } = await ran('--plan')
  const json = await ran('--plan', '-o', 'json')
  writeFileSync(config, whole)
  expect(out).toMatch(/^kubernetes:room:certificates: left out, may not list secrets \(cluster room: list \/api\/v1\/secrets: not allowed \(403\).*\)$/m)
  expect(code).toBe(0)
  expect(err).not.toContain('secrets')
  expect(JSON.parse(json.out)).toMatchObject({ refused: [], unasked: [], left_out: [{ cluster: 'room', source: 'certificates', message: expect.stringContaining('may not list secrets') as unknown }] })
})

it('counts a source that may not list a part of what it needs with those that nothing is known of', async () => {
  const whole = readFileSync(config, 'utf8')
  writeFileSync(config, whole.replace('annotations: true, secrets: true', 'health: [paths]'))
  api.forbid('GET /api/v1/services')
  const { code, out } = await ran('--plan')
  writeFileSync(config, whole)
  expect(out).toMatch(/^not asked: kubernetes:room:paths: cluster room: list \/api\/v1\/services: not allowed \(403\)/m)
  expect(code).toBe(3)
})

it.each([
  [['--plan', 'own'], '--plan: expected neither targets nor --wait'],
  [['--plan', '-o', 'junit'], '--plan: expected -o pretty or json'],
])('%j is bad usage', async (args, sentence) => {
  await expect(ran(...args)).rejects.toThrow(sentence)
})
