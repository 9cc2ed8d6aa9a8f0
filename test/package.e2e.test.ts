import { hashSync } from 'bcryptjs'
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { startKubeApi } from './support/kube-api.ts'
import { eventually, freePort, startProcess, temporaryDirectory } from './support/process.ts'

const root = fileURLToPath(new URL('../', import.meta.url))
const home = temporaryDirectory()
const installed = join(home.path, 'node_modules/curlew')
const curlew = join(home.path, 'node_modules/.bin/curlew')

// No registry answers there: what the package needs must be in it.
const env = { ...process.env, npm_config_registry: 'http://127.0.0.1:9/', npm_config_cache: join(home.path, 'cache'), npm_config_fetch_retries: '0' }

beforeAll(async () => {
  const packed = await run('npm', ['pack', '--pack-destination', home.path], root)
  if (packed.code !== 0) throw new Error(packed.stderr)
  const [tarball] = readdirSync(home.path).filter((name) => name.endsWith('.tgz'))
  writeFileSync(join(home.path, 'package.json'), '{ "private": true }')
  const install = await run('npm', ['install', '--omit=dev', `./${tarball ?? ''}`], home.path)
  if (install.code !== 0) throw new Error(install.stderr)
}, 60_000)

afterAll(() => home.remove())

describe('the packed package', () => {
  it('brings the bundle and nothing else of the checkout', () => {
    expect(readdirSync(installed).sort()).toEqual(expect.arrayContaining(['LICENSE', 'bin', 'dist', 'package.json']))
    expect(readdirSync(installed)).not.toEqual(expect.arrayContaining(['src']))
    expect(readdirSync(join(home.path, 'node_modules')).filter((name) => !name.startsWith('.'))).toEqual(['curlew'])
  })

  it('states the licence of everything bundled', () => {
    const text = readFileSync(join(installed, 'dist/THIRD-PARTY-LICENSES.txt'), 'utf8')
    for (const name of ['express', 'ioredis', 'koffi', 'prom-client', 'zod']) expect(text).toContain(`${name} `)
    // Only its name: the file with the text was not found.
    expect(text).not.toMatch(/^Licence: /m)
  })

  it('prints its version', async () => {
    const { version } = z.object({ version: z.string() }).parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')))
    expect(await run(curlew, ['--version'])).toEqual({ code: 0, stdout: `curlew ${version}\n`, stderr: '' })
  })

  it('checks a TCP port', async () => {
    const server = createServer((socket) => socket.end())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      const { port } = server.address() as AddressInfo // safe: it listens on TCP
      const open = await run(curlew, ['check', `tcp://127.0.0.1:${port}`, '-o', 'json'])
      expect({ code: open.code, status: statusOf(open.stdout) }).toEqual({ code: 0, status: 'ok' })
    } finally {
      await new Promise((resolve) => server.close(resolve))
    }
    const closed = await run(curlew, ['check', `tcp://127.0.0.1:${await freePort()}`, '-o', 'json'])
    expect({ code: closed.code, status: statusOf(closed.stdout) }).toEqual({ code: 1, status: 'failed' })
  })

  it('walks the layers below a target', async () => {
    const { code, stdout } = await run(curlew, ['diagnose', `tcp://127.0.0.1:${await freePort()}`])
    expect(code).toBe(1)
    expect(stdout).toMatch(/is up, but nothing listens on port/)
  })

  it('checks a directory, in a process of its own', async () => {
    const there = await run(curlew, ['check', `mount://${home.path}?require_mount=false`, '-o', 'json'])
    expect({ code: there.code, status: statusOf(there.stdout) }).toEqual({ code: 0, status: 'ok' })
    const gone = await run(curlew, ['check', `mount://${home.path}/nothing?require_mount=false`, '-o', 'json'])
    expect({ code: gone.code, status: statusOf(gone.stdout) }).toEqual({ code: 1, status: 'failed' })
  })

  it('opens a keystore, on a thread of its own', async () => {
    const file = join(root, 'test/fixtures/keystores/java17.p12')
    const opened = await run(curlew, ['check', `cert://${file}`, '-o', 'json'], home.path, { CURLEW_PASSWORD: 'curlew-fixture' })
    expect({ code: opened.code, status: statusOf(opened.stdout) }).toEqual({ code: 0, status: 'ok' })
  })

  it('pings this machine through the binary that it brings, or says that it may not', async () => {
    const { stdout } = await run(curlew, ['check', 'icmp://127.0.0.1?count=1', '-o', 'json'])
    const { status, failure } = z.object({ results: z.tuple([z.object({ status: z.string(), failure: z.object({ code: z.string(), message: z.string() }).optional() })]) }).parse(JSON.parse(stdout)).results[0]
    if (status !== 'ok') expect({ status, code: failure?.code }).toEqual({ status: 'unknown', code: 'ping_denied' })
    expect(failure?.message ?? '').not.toContain('system calls cannot be made')
  })

  it('serves, and its worker thread for passwords starts from the bundle', async () => {
    const port = await freePort()
    const config = join(home.path, 'curlew.yaml')
    writeFileSync(config, `probes: [{ name: itself, type: tcp, target: '127.0.0.1:${port}' }]\n`)
    const webConfig = join(home.path, 'web.yaml')
    writeFileSync(webConfig, `basic_auth_users:\n  someone: ${hashSync('a password', 4)}\n`)
    const url = `http://127.0.0.1:${port}/metrics`
    const get = (password: string) => fetch(url, { headers: { authorization: `Basic ${btoa(`someone:${password}`)}` }, signal: AbortSignal.timeout(5_000) })
    const server = await startProcess(curlew, ['serve', '-c', config, '--web.listen-address', `127.0.0.1:${port}`, '--web.config.file', webConfig], {
      env, ready: () => fetch(url).then((answer) => answer.status === 401, () => false),
    })
    try {
      const answer = await get('a password')
      expect(answer.status).toBe(200)
      expect(await answer.text()).toContain('curlew_build_info')
      expect((await get('another')).status).toBe(401)
    } finally {
      await server.stop()
    }
  })

  it('finds targets in a cluster, by the client that it brings', async () => {
    const api = await startKubeApi()
    try {
      api.put({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'redis', namespace: 'shop', annotations: { 'curlew.dev/probe': 'redis' } }, spec: { ports: [{ port: 6379 }] } })
      api.put({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'worker-1' } })
      const config = join(home.path, 'cluster.yaml')
      writeFileSync(config, `kubernetes: { clusters: [{ name: room, kubeconfig: ${api.kubeconfig()}, inside: true }] }
discovery: { kubernetes: { annotations: true, health: [nodes] } }
`)
      const { code, stdout, stderr } = await run(curlew, ['check', '--plan', '-c', config, '-o', 'json'])
      expect({ code, stderr: stderr.replace(/^curlew: using .*\n/, '') }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toContain('redis.shop.svc.cluster.local:6379')
      // Its probe asks by the client, too: no kubelet is there.
      const { stdout: checked } = await run(curlew, ['check', 'kube-node', '-c', config, '-o', 'json'])
      expect(checked).toContain('worker-1')
    } finally {
      await api.stop()
    }
  })

  it('takes an alert and delivers it, in a process of its own', async () => {
    const port = await freePort()
    const told: string[] = []
    const chat = createHttpServer((request, response) => {
      request.on('data', (chunk: Buffer) => { told.push(chunk.toString()) }).on('end', () => response.end('ok'))
    })
    await new Promise<void>((resolve) => chat.listen(0, '127.0.0.1', resolve))
    const { port: chatPort } = chat.address() as AddressInfo // safe: it listens on TCP
    const config = join(home.path, 'notify.yaml')
    writeFileSync(config, `notify:
  token: a-token-for-tests
  allow_private_destinations: true
  channels: [{ name: ops, type: slack, url: 'http://127.0.0.1:${chatPort}/services/T0/B0/x' }]
  routes: [{ channel: ops }]
`)
    const url = `http://127.0.0.1:${port}`
    const server = await startProcess(curlew, ['notify', 'serve', '-c', config, '--web.listen-address', `127.0.0.1:${port}`], {
      env: { ...env, STATE_DIRECTORY: join(home.path, 'state') }, ready: () => fetch(`${url}/metrics`).then(async (answer) => (await answer.text()).includes('\ncurlew_notify_up 1'), () => false),
    })
    try {
      const body = JSON.stringify({ version: '4', receiver: 'curlew', groupKey: '{}', alerts: [{ status: 'firing', labels: { alertname: 'FromThePackage' }, annotations: {}, startsAt: new Date().toISOString() }] })
      const answer = await fetch(`${url}/webhook/alertmanager`, { method: 'POST', headers: { authorization: 'Bearer a-token-for-tests' }, body, signal: AbortSignal.timeout(5_000) })
      expect(answer.status).toBe(200)
      await eventually(() => told.some((message) => message.includes('FromThePackage')), 5_000, 'the message')
      // Where the image keeps it: the state directory of the service.
      expect(readdirSync(join(home.path, 'state'))).toEqual(expect.arrayContaining(['owner.db']))
    } finally {
      await server.stop()
      await new Promise((resolve) => chat.close(resolve))
    }
  })
})

function run(command: string, args: readonly string[], cwd = home.path, more: NodeJS.ProcessEnv = {}): Promise<{ code: number | string, stdout: string, stderr: string }> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd, env: { ...env, ...more }, timeout: 30_000 }, (error, stdout, stderr) => resolve({ code: error ? error.code ?? 'killed' : 0, stdout, stderr }))
  })
}

function statusOf(json: string): string {
  return z.object({ status: z.string() }).parse(JSON.parse(json)).status
}
