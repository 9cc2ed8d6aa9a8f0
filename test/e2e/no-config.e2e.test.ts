import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually, startProcess, temporaryDirectory, type Running } from '../support/process.ts'

// A network namespace of its own, with its own resolv.conf: nothing here can reach beyond it.
const namespace = `curlew-test-${process.pid}`
const etc = `/etc/netns/${namespace}`
const inside = ['ip', 'netns', 'exec', namespace] as const
const directory = temporaryDirectory()
const running: Running[] = []
const root = join(import.meta.dirname, '..', '..')

const ip = (...args: string[]) => execFileSync('ip', args, { stdio: 'pipe' })
const insideRun = (...command: string[]) => execFileSync('ip', ['netns', 'exec', namespace, ...command], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 10_000 })
const fetchInside = (url: string) => insideRun(process.execPath, '-e', `fetch(${JSON.stringify(url)}).then(async r => { if (!r.ok) process.exit(1); console.log(await r.text()) }, () => process.exit(1))`)
const listensInside = (port: number) => () => insideRun('cat', '/proc/net/tcp').includes(`:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000:0000 0A`)

beforeAll(async () => {
  mkdirSync(etc, { recursive: true })
  writeFileSync(join(etc, 'resolv.conf'), 'nameserver 127.0.0.1\nnameserver 127.0.0.9\n')
  ip('netns', 'add', namespace)
  ip('-n', namespace, 'link', 'set', 'lo', 'up')
  const start = async (ready: () => boolean, ...command: string[]) => {
    const [first = '', ...rest] = [...inside, ...command]
    running.push(await startProcess(first, rest, { ready, cwd: directory.path }))
  }
  await start(listensInside(53), 'dnsmasq', '-C', '/dev/null', '-k', '--listen-address=127.0.0.1', '--bind-interfaces', '-R', '-h', '--user=root', `--pid-file=${directory.path}/d.pid`)
  await start(listensInside(6379), 'redis-server', '--save', '', '--appendonly', 'no', '--bind', '127.0.0.1')
  await start(listensInside(7001), 'redis-server', '--save', '', '--appendonly', 'no', '--bind', '127.0.0.1', '--port', '7001', '--requirepass', 'locked')
  await start(listensInside(11_211), 'memcached', '-u', 'nobody', '-l', '127.0.0.1', '-U', '0')
  await start(listensInside(8080), process.execPath, '-e', 'require("http").createServer((q, s) => { s.statusCode = 404; s.end() }).listen(8080, "127.0.0.1"); require("net").createServer(s => { console.log("touched"); s.end() }).listen(3306, "127.0.0.1")')
}, 30_000)

afterAll(async () => {
  for (const one of running.toReversed()) await one.stop('SIGKILL')
  try { ip('netns', 'del', namespace) } finally {
    rmSync(etc, { recursive: true, force: true })
    directory.remove()
  }
})

it('probes what the machine shows, read-only, and the first scrape shows it', async () => {
  const [command = '', ...rest] = [...inside, process.execPath, join(root, 'bin', 'curlew.js'), 'serve']
  const curlew = await startProcess(command, rest, { ready: (output) => output.includes('"serving"'), cwd: directory.path })
  running.push(curlew)
  expect(curlew.output()).toContain('no config file: probing what this machine shows')

  const metrics = await eventually(() => {
    const text = fetchInside('http://127.0.0.1:9797/metrics')
    return text.match(/^probe_last_run_timestamp_seconds\{/gm)?.length === 8 ? text : undefined
  }, 5_000, 'eight targets')
  const success = Object.fromEntries([...metrics.matchAll(/^probe_success\{probe="([^"]+)",type="[^"]+",target="([^"]+)".*\} ([01])$/gm)].map(([, probe, target, value]) => [`${probe} ${target}`, value]))
  expect(success).toEqual({
    'resolv-conf 127.0.0.1:53': '1', 'resolv-conf 127.0.0.9:53': '0',
    'local-redis 127.0.0.1:6379': '1', 'local-memcached 127.0.0.1:11211': '1',
    'local-http http://127.0.0.1:8080/': '1', 'curlew http://127.0.0.1:9797/-/healthy': '1',
  })
  // A Redis that wants a password which nobody gave us is not accused.
  expect(metrics).toMatch(/^probe_unknown\{probe="local-redis",type="redis",target="127\.0\.0\.1:7001".*\} 1$/m)
  expect(insideRun('redis-cli', 'info', 'commandstats')).not.toMatch(/cmdstat_(set|unlink|del)/)
  // Something on MySQL's port is listed, and never contacted.
  expect(metrics).toMatch(/^probe_unknown\{probe="local-mysql",type="mysql",target="127\.0\.0\.1:3306".*\} 1$/m)
  expect(running.map((one) => one.output()).join('')).not.toContain('touched')
  await curlew.stop()
  expect(curlew.child.exitCode).toBe(0)
}, 20_000)
