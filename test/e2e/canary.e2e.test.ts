import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import bcrypt from 'bcryptjs'
import { runCurlew, serveCurlew } from '../support/curlew.ts'
import { eventually, freePort, temporaryDirectory } from '../support/process.ts'
import { tcpServer } from '../support/tcp.ts'

const directory = temporaryDirectory()
const cleanups: (() => Promise<void> | void)[] = []
afterAll(async () => {
  for (const cleanup of cleanups.toReversed()) await cleanup()
  directory.remove()
})
const write = (name: string, text: string) => {
  const path = join(directory.path, name)
  writeFileSync(path, text)
  return path
}

/** Planted in every place that takes a secret; each is looked for in everything that comes out. */
const CANARIES = {
  literal: 'canary-literal-9f3a', env: 'canary-env-51cc', file: 'canary-file-77d0', url: 'canary-url-0b1e', header: 'canary-header-d4d4',
  bearer: 'canary-bearer-e8e8', basic: 'canary-basic-1212', query: 'canary-query-3434', web: 'canary-web-5656', token: 'canary-token-7878', argv: 'canary-argv-9a9a', sasl: 'canary-sasl-bcbc',
} as const

it('no planted secret comes out anywhere', async () => {
  // Servers that send back what they were given: the worst that a target can do.
  const parrot = await tcpServer((socket) => socket.on('data', (data) => socket.end(`-ERR unknown command ${data.toString('latin1')}\r\n`)))
  const proud = await tcpServer((socket) => socket.on('data', (data) => {
    for (const [, command = ''] of data.toString('latin1').matchAll(/\*\d+\r\n\$\d+\r\n(\w+)/g)) {
      const info = `redis_version:${CANARIES.literal}\r\nrole:master\r\n`
      socket.write({ role: '*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n', info: `$${info.length}\r\n${info}\r\n` }[command.toLowerCase()] ?? '+OK\r\n')
    }
  }))
  const echo = createServer((request, response) => {
    response.statusCode = 500
    response.statusMessage = 'Echo'
    response.end(JSON.stringify([request.url, request.headers]))
  })
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => parrot.close(), () => proud.close(), () => { echo.close() })
  const web = (echo.address() as AddressInfo).port // safe: it listens on TCP
  const closed = await freePort()
  const secretFile = write('secret', `${CANARIES.file}\n`)

  const probes = [
    'defaults: { every: 300ms, timeout: 250ms }', 'probes:',
    `  - { name: literal, type: redis, target: "127.0.0.1:${parrot.port}", username: u, password: ${CANARIES.literal} }`,
    `  - { name: version, type: redis, target: "127.0.0.1:${proud.port}", password: ${CANARIES.literal}, mode: read-only }`,
    `  - { name: env, type: redis, target: "127.0.0.1:${closed}", password: "\${CANARY_ENV}" }`,
    `  - { name: file, type: redis, target: "127.0.0.1:${parrot.port}", password: "\${file:${secretFile}}" }`,
    `  - { name: url, type: redis, target: "redis://:${CANARIES.url}@127.0.0.1:${parrot.port}" }`,
    `  - { name: sasl, type: memcached, target: "127.0.0.1:${parrot.port}", username: u, password: ${CANARIES.sasl} }`,
    `  - { name: web, type: http, target: "http://u:${CANARIES.basic}@127.0.0.1:${web}/x?token=\${CANARY_QUERY}", secret_headers: { X-Api-Key: ${CANARIES.header} } }`,
    `  - { name: bearer, type: http, target: "http://127.0.0.1:${web}/", bearer_token: ${CANARIES.bearer}, body_matches: ["nothing like it"], status: [500] }`,
    `  - { name: quoted, type: tcp, target: "127.0.0.1:${parrot.port}", send: "\${CANARY_ENV}", expect: nothing like it }`,
  ]
  const config = write('curlew.yaml', `${probes.join('\n')}\n`)
  const webConfig = write('web.yaml', `basic_auth_users: { admin: "${bcrypt.hashSync(CANARIES.web, 4)}" }\nbearer_tokens:\n  - { name: t, token: ${CANARIES.token}, scopes: [read, operate] }\n`)
  const env = { CANARY_ENV: CANARIES.env, CANARY_QUERY: CANARIES.query }

  const seen: Record<string, string> = {}
  const curlew = await serveCurlew(['-c', config, '--web.config.file', webConfig, '--log.level', 'debug'], { env })
  cleanups.push(() => curlew.stop('SIGKILL'))
  const headers = { authorization: `Bearer ${CANARIES.token}` }
  await eventually(async () => (await curlew.get('/metrics', { headers })).text.split('\n').filter((line) => /^probe_runs_total\{.*result="(failed|unknown)"\} [1-9]/.test(line)).length >= 8, 10_000, 'every probe has failed')
  for (const path of ['/metrics', '/config', '/', '/api/v1/probes', '/-/healthy', '/-/ready', '/nowhere', '/api/v1/probes/000000000000']) {
    const { text, headers: answered } = await curlew.get(path, { headers })
    seen[path] = text + JSON.stringify([...answered])
  }
  const { probes: list } = JSON.parse((await curlew.get('/api/v1/probes', { headers })).text) as { probes: { id: string }[] }
  expect(list).toHaveLength(9)
  for (const { id } of list) seen[`/api/v1/probes/${id}`] = (await curlew.get(`/api/v1/probes/${id}`, { headers })).text
  seen['openmetrics'] = (await curlew.get('/metrics', { headers: { ...headers, accept: 'application/openmetrics-text' } })).text
  seen['refused'] = (await curlew.get('/config', { headers: { authorization: `Basic ${Buffer.from(`admin:${CANARIES.argv}`).toString('base64')}` } })).text
  expect((await curlew.get('/config', { headers: { authorization: `Basic ${Buffer.from(`admin:${CANARIES.web}`).toString('base64')}` } })).status).toBe(200)
  writeFileSync(config, `${probes.join('\n')}\n  - { name: broken, type: redis, password: ${CANARIES.literal}, timeout: "\${CANARY_ENV}" }\n`)
  seen['reload'] = (await curlew.get('/-/reload', { method: 'POST', headers })).text
  expect(seen['reload']).toContain('timeout')
  const proc = `/proc/${curlew.pid}/cmdline`
  seen['argv'] = (await import('node:fs')).readFileSync(proc, 'utf8')
  await curlew.stop()
  seen['log'] = curlew.output()

  const validate = await runCurlew(['validate', '-c', config], { env })
  seen['validate'] = validate.stdout + validate.stderr
  expect(validate.code).toBe(2)
  writeFileSync(config, `${probes.join('\n')}\n`)
  for (const format of ['pretty', 'json', 'junit']) {
    const checked = await runCurlew(['check', '-c', config, '-o', format], { env })
    expect(checked.code).toBe(1)
    seen[`check ${format}`] = checked.stdout + checked.stderr
  }
  const argv = await runCurlew(['check', `redis://:${CANARIES.argv}@127.0.0.1:1`, '-o', 'json'])
  seen['check argv'] = argv.stdout + argv.stderr
  const fromEnv = await runCurlew(['check', `redis://127.0.0.1:${parrot.port}`, '-o', 'json'], { env: { CURLEW_PASSWORD: CANARIES.argv } })
  seen['check env'] = fromEnv.stdout + fromEnv.stderr
  expect(fromEnv.code).toBe(1)

  for (const [place, text] of Object.entries(seen)) {
    expect(text.length, `${place} is empty`).toBeGreaterThan(1)
    for (const [name, canary] of Object.entries(CANARIES)) {
      for (const form of [canary, Buffer.from(canary).toString('base64'), Buffer.from(`u:${canary}`).toString('base64'), Buffer.from(canary).toString('hex')]) {
        expect(text.includes(form), `${name} in ${place}`).toBe(false)
      }
    }
  }
  expect(seen['/metrics']).toContain('redis_version="<secret>"')
  expect(seen['/config']).toContain('<secret>')
  expect(seen['check json']).toContain('<secret>')
}, 40_000)
