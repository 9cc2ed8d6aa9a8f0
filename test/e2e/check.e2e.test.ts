import type { AddressInfo } from 'node:net'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCurlew } from '../support/curlew.ts'
import { freePort, temporaryDirectory } from '../support/process.ts'
import { startRedis } from '../support/redis-server.ts'
import { tcpServer, type TestServer } from '../support/tcp.ts'

const directory = temporaryDirectory()
let up: TestServer
let closed: number
let config: string

beforeAll(async () => {
  up = await tcpServer()
  closed = await freePort()
  config = join(directory.path, 'curlew.yaml')
  writeFileSync(config, [
    'instance_id: test', 'probes:',
    `  - { name: good, type: tcp, target: "127.0.0.1:${up.port}" }`,
    `  - { name: bad, type: tcp, target: "127.0.0.1:${closed}" }`,
    `  - { name: behind, type: tcp, target: "127.0.0.1:${closed}", depends_on: [bad] }`, '',
  ].join('\n'))
})
afterAll(async () => {
  await up.close()
  directory.remove()
})

describe('exit codes', () => {
  it('0 when all is ok, on a URL that needs no config', async () => {
    const { code, stdout } = await runCurlew(['check', `tcp://127.0.0.1:${up.port}`])
    expect(stdout).toMatch(new RegExp(`^✓ tcp 127\\.0\\.0\\.1:${up.port} .*\n1 ok, 0 failed, 0 unknown\n$`))
    expect(code).toBe(0)
  })

  it('1 when a target failed, and says what to look for', async () => {
    const { code, stdout } = await runCurlew(['check', `tcp://127.0.0.1:${closed}`])
    expect(stdout).toContain('failed connect/refused (connect_refused)')
    expect(stdout).toContain('nothing listens on the port')
    expect(code).toBe(1)
  })

  it.each([
    [['check', '-o', 'yaml', 'tcp://127.0.0.1:1'], '-o: expected one of pretty, json, junit'],
    [['check', '--wiat', '2m'], "Unknown option '--wiat'"],
    [['check', 'ftp://x'], 'ftp://: expected one of '],
    [['check', 'tcp://127.0.0.1'], 'tcp://127.0.0.1: '],
    [['check', 'redis+sentinel://h1:1,h2:2'], 'redis+sentinel://h1:1,h2:2: target: expected host[:port] of one server or of several'],
    [['check', 'redis+cluster://h1:1,h2:2:2'], 'redis+cluster://h1:1,h2:2:2: target: expected host[:port] of one server or of several'],
    [['check', '--timeout', 'soon', 'tcp://127.0.0.1:1'], '--timeout: expected a duration such as 30s or 2m'],
    [['check', '-c', '/nonexistent.yaml'], '/nonexistent.yaml:1:1: expected a readable config file (ENOENT)'],
    [['chekc'], 'chekc: expected one of serve, check, diagnose, notify, validate, alerts, schema'],
    [['check', '--lang', 'fr', 'tcp://127.0.0.1:1'], '--lang: expected en or zh'],
    [['check', '--password-file', '/nonexistent', 'tcp://127.0.0.1:1'], '--password-file /nonexistent: expected a readable file (ENOENT)'],
    [['serve', '--web.listen-address', 'nonsense'], '--web.listen-address: expected [host]:port'],
  ])('2 on bad usage: %j', async (args, sentence) => {
    const { code, stderr } = await runCurlew(args, { cwd: directory.path, env: { CURLEW_CONFIG: '/nonexistent.yaml' } })
    expect(stderr).toContain(sentence)
    expect(stderr).not.toMatch(/\n\s+at /)
    expect(code).toBe(2)
  })

  it('2 on a name that no probe has, with the nearest one', async () => {
    const { code, stderr } = await runCurlew(['check', '-c', config, 'goood'])
    expect(stderr).toContain('goood: no probe of that name; did you mean good?')
    expect(code).toBe(2)
  })

  it('3 when nothing failed but something is unknown', async () => {
    // A network namespace of its own in which not even loopback is up: that says nothing about any target.
    const { code, stdout } = await runCurlew(['check', `tcp://127.0.0.1:${closed}`], { wrap: ['unshare', '--net'] })
    expect(stdout).toContain('unknown prober/unreachable (prober_no_network)')
    expect(code).toBe(3)
  })

  it('does not blame a target for file descriptors that ran out', async () => {
    const silent = await Promise.all(Array.from({ length: 30 }, () => tcpServer()))
    const { stdout } = await runCurlew(['check', '-o', 'json', '--timeout', '1s', ...silent.map(({ port }) => `redis://127.0.0.1:${port}`)], { wrap: ['prlimit', '--nofile=40:40', '--'] })
    for (const server of silent) await server.close()
    const { results } = JSON.parse(stdout) as { results: { status: string, failure: { code: string } }[] }
    const codes = results.map(({ status, failure }) => `${status} ${failure.code}`)
    expect(codes.filter((code) => code === 'unknown prober_no_files').length).toBeGreaterThan(3)
    expect(codes.filter((code) => code.startsWith('failed')).every((code) => code.endsWith('_timeout'))).toBe(true)
  })

  it('130 when interrupted', async () => {
    const { code, stderr } = await runCurlew(['check', `tcp://127.0.0.1:${closed}`, '--wait', '20s'], { interrupt: { when: /waiting/, signal: 'SIGINT' } })
    expect(stderr).toContain('interrupted')
    expect(code).toBe(130)
  })
})

describe('what is probed', () => {
  it('the whole config, with the root cause', async () => {
    const { code, stdout, stderr } = await runCurlew(['check', '-o', 'json'], { cwd: directory.path })
    expect(stderr).toContain('curlew: using ./curlew.yaml')
    const report = JSON.parse(stdout) as { status: string, results: { name: string, status: string, explained_by?: string }[] }
    expect(report.status).toBe('failed')
    expect(report.results.map(({ name, status, explained_by }) => [name, status, explained_by])).toEqual([
      ['good', 'ok', undefined], ['bad', 'failed', undefined], ['behind', 'failed', `bad/127.0.0.1:${closed}`],
    ])
    expect(code).toBe(1)
  })

  it('what is named, by probe, target or URL', async () => {
    const { stdout } = await runCurlew(['check', '-c', config, '-o', 'json', 'good', `bad/127.0.0.1:${closed}`, `tcp://127.0.0.1:${up.port}`])
    expect((JSON.parse(stdout) as { results: { name: string }[] }).results.map(({ name }) => name)).toEqual(['good', 'bad', 'tcp'])
  })

  it('several hosts in one URL, in whatever order', async () => {
    const [first, second] = [String(closed), String(await freePort())].toSorted()
    const { code, stdout } = await runCurlew(['check', '-o', 'json', `redis+sentinel://127.0.0.1:${second},127.0.0.1:${first}/mymaster`, `redis+cluster://127.0.0.1:${second},127.0.0.1:${first}`], { env: { CURLEW_PASSWORD: 'open-sesame' } })
    const { results } = JSON.parse(stdout) as { results: { target: string, failure: { code: string } }[] }
    expect(results.map(({ target, failure }) => [target, failure.code])).toEqual([
      [`127.0.0.1:${first},127.0.0.1:${second}/mymaster`, 'connect_refused'], [`127.0.0.1:${first},127.0.0.1:${second}`, 'connect_refused'],
    ])
    expect(code).toBe(1)
  })

  it('never silently one of two URLs that are the same target', async () => {
    const { code, stderr } = await runCurlew(['check', `redis://127.0.0.1:${closed}`, `redis://127.0.0.1:${closed}/9`])
    expect(stderr).toContain(`two URLs are the target redis/127.0.0.1:${closed}, with other options`)
    expect(code).toBe(2)
  })

  it('as JUnit for a pipeline', async () => {
    const { stdout } = await runCurlew(['check', '-c', config, '-o', 'junit'])
    expect(stdout).toContain('<testsuite name="curlew" tests="3" failures="2" errors="0"')
  })

  it('under a key of its own, so that two at a time do not read what the other wrote', async () => {
    const redis = await startRedis()
    try {
      // What may not be removed shows its key until it expires.
      await redis.admin.call('ACL', 'SETUSER', 'default', '-unlink')
      for (let round = 0; round < 2; round++) expect((await runCurlew(['check', `redis://127.0.0.1:${redis.port}`])).code).toBe(0)
      expect(await redis.admin.keys('probe:*')).toHaveLength(2)
    } finally {
      await redis.stop()
    }
  })

  it('again and again until it is well', async () => {
    const { createServer } = await import('node:http')
    let asked = 0
    const server = createServer((_request, response) => {
      response.statusCode = ++asked > 1 ? 200 : 503
      response.end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const { code, stderr } = await runCurlew(['check', `http://127.0.0.1:${port}/`, '--wait', '20s'], {})
    server.close()
    expect(stderr).toContain(`curlew: 0 of 1 ok, waiting for http http://127.0.0.1:${port}/ (assert/mismatch)\n`)
    expect(code).toBe(0)
  })

  it('in Chinese where LANG says so', async () => {
    const { stdout } = await runCurlew(['check', `tcp://127.0.0.1:${closed}`], { env: { LANG: 'zh_CN.UTF-8' } })
    expect(stdout).toContain('主机在线，但该端口没有进程监听。')
  })
})

it('says by its exit code what it found out although nobody reads the report', async () => {
  const { stdout } = await runCurlew(['check', `tcp://127.0.0.1:${closed}`], { wrap: ['bash', '-c', '"$@" | true; echo "${PIPESTATUS[0]}"', 'bash'] })
  expect(stdout).toBe('1\n')
})

describe('passwords', () => {
  it.each([
    'redis://:open-sesame@127.0.0.1:1', 'redis://u:open-sesame%zz@127.0.0.1:1', 'redis://127.0.0.1:1/?password=open-sesame',
    'redis+sentinel://:open-sesame@127.0.0.1:1,127.0.0.1:2/mymaster', 'redis+sentinel://127.0.0.1:1,127.0.0.1:2/mymaster?sentinel_password=open-sesame', 'redis+cluster://u:open-sesame@127.0.0.1:1,u:open-sesame@[::1]:2',
  ])('are refused in a URL on the command line, with the way that is safe: %s', async (url) => {
    const { code, stderr, stdout } = await runCurlew(['check', url])
    expect(stderr).not.toMatch(/\n\s+at /)
    expect(stderr).toContain('put it into CURLEW_PASSWORD or --password-file')
    expect(stderr + stdout).not.toContain('open-sesame')
    expect(code).toBe(2)
  })
})

describe('the other commands', () => {
  it('print help and version', async () => {
    expect(await runCurlew(['--version'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^curlew \d+\.\d+\.\d+\n$/) })
    expect(await runCurlew(['--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('check') })
    expect(await runCurlew(['check', '--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('--password-file') })
    expect(await runCurlew([])).toMatchObject({ code: 2 })
  })

  it('validate: every mistake, one a line, exit 2', async () => {
    const broken = join(directory.path, 'broken.yaml')
    writeFileSync(broken, 'probes:\n  - { name: a, type: tcp, target: "x:1", evry: 5s }\n  - { name: a, type: tpc, target: "x:1" }\n')
    const { code, stdout } = await runCurlew(['validate', '-c', broken])
    expect(stdout.split('\n')).toEqual([
      `${broken}:2:42: probes[0].evry: unknown key for type tcp; did you mean every?`,
      `${broken}:3:13: probes[1].name: duplicate probe: a is already defined at ${broken}:2; expected a unique name`,
      expect.stringMatching(/:3:22: probes\[1\]\.type: expected one of .*; did you mean tcp\?$/), '',
    ])
    expect(code).toBe(2)
    expect(await runCurlew(['validate', '-c', config])).toMatchObject({ code: 0, stdout: `${config}: ok, 3 probes, 3 targets\n` })
    expect(await runCurlew(['validate', '-c', config, '--cardinality'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^good: 1 target, \d+ series\n[^]*total: 3 targets, \d+ series\n$/) })
  })

  it('validate: the webhook needs a token, or a web-config with logins', async () => {
    const forwarder = join(directory.path, 'forwarder.yaml')
    const open = join(directory.path, 'open.yaml')
    const logins = join(directory.path, 'logins.yaml')
    writeFileSync(forwarder, 'notify:\n  channels: [{ name: ops, type: slack, url: "https://hooks.slack.com/services/T/B/X" }]\n  routes: [{ channel: ops }]\n')
    writeFileSync(open, 'rate_limit: { interval: 1s, burst: 20 }\n')
    writeFileSync(logins, 'bearer_tokens: [{ name: alertmanager, token: sixteen-characters-and-more, scopes: [notify] }]\n')
    const refused = { code: 2, stdout: expect.stringMatching(/forwarder\.yaml:1:1: notify: expected a token, .* allow_unauthenticated: true .*\n$/) }
    expect(await runCurlew(['validate', '-c', forwarder])).toMatchObject(refused)
    expect(await runCurlew(['validate', '-c', forwarder, '--web.config.file', open])).toMatchObject(refused)
    expect(await runCurlew(['validate', '-c', forwarder, '--web.config.file', logins])).toMatchObject({ code: 0, stdout: `${forwarder}: ok, 0 probes, 0 targets, 1 channel, 1 route\n${logins}: ok\n` })
  })

  it('schema: JSON Schema on stdout, and a reader that stops early is no error', async () => {
    const { code, stdout } = await runCurlew(['schema'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ $schema: 'http://json-schema.org/draft-07/schema#', title: 'curlew.yaml' })
  })
})
