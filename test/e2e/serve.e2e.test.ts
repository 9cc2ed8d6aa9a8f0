import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { serveCurlew, type Served } from '../support/curlew.ts'
import { eventually, freePort, startProcess, temporaryDirectory, type Running } from '../support/process.ts'
import { PROMETHEUSES, scrapeComplaints } from '../support/prometheus.ts'
import { listens, tcpServer, type TestServer } from '../support/tcp.ts'

const directory = temporaryDirectory()
let up: TestServer
let closed: number
const cleanups: (() => Promise<void> | void)[] = []
const write = (name: string, text: string) => {
  const path = join(directory.path, name)
  writeFileSync(path, text)
  return path
}

beforeAll(async () => {
  up = await tcpServer()
  closed = await freePort()
})
afterAll(async () => {
  for (const cleanup of cleanups.toReversed()) await cleanup()
  await up.close()
  directory.remove()
})

describe('a running Curlew', () => {
  let curlew: Served
  let config: string
  const first = () => [
    'labels: { cluster: c1 }', 'defaults: { every: 300ms, timeout: 200ms }', 'probes:',
    `  - { name: good, type: tcp, target: "127.0.0.1:${up.port}" }`,
    `  - { name: bad, type: tcp, target: "127.0.0.1:${closed}" }`, '',
  ].join('\n')
  const labels = (probe: string, port: number) => `probe="${probe}",type="tcp",target="127.0.0.1:${port}",cluster="c1"`

  beforeAll(async () => {
    config = write('serve.yaml', first())
    curlew = await serveCurlew(['-c', config])
    cleanups.push(() => curlew.stop('SIGKILL'))
  })

  it('exports what it found, in the names of the field', async () => {
    await eventually(async () => (await curlew.value(`probe_success{${labels('good', up.port)}}`)) === 1)
    await eventually(async () => (await curlew.value(`probe_healthy{${labels('bad', closed)}}`)) === 0)
    expect(await curlew.value(`probe_root_cause{${labels('bad', closed)}}`)).toBe(1)
    expect(await curlew.value(`probe_failure_info{${labels('bad', closed)},layer="connect",reason="refused"}`)).toBe(1)
    expect(await curlew.value(`probe_interval_seconds{${labels('good', up.port)}}`)).toBe(0.3)
    expect(await curlew.value('curlew_targets{type="tcp"}')).toBe(2)
    expect(await curlew.value('curlew_config_last_reload_successful')).toBe(1)
  })

  it('answers for itself, whatever it probes', async () => {
    expect((await curlew.get('/-/healthy')).status).toBe(200)
    expect((await curlew.get('/-/ready')).status).toBe(200)
  })

  it('shows its probes as JSON and as a page', async () => {
    const list = JSON.parse((await curlew.get('/api/v1/probes?probe=bad')).text) as { probes: { id: string, failure: unknown }[] }
    expect(list.probes).toHaveLength(1)
    expect(list.probes[0]!.failure).toMatchObject({ layer: 'connect', reason: 'refused', code: 'connect_refused' })
    const one = await curlew.get(`/api/v1/probes/${list.probes[0]!.id}`)
    expect(one.status).toBe(200)
    const page = await curlew.get('/', { headers: { accept: 'text/html' } })
    expect(page.text).toContain('connect / refused')
  })

  const runs = async (probe: string, port: number, result: string) => await curlew.value(`probe_runs_total{${labels(probe, port)},result="${result}"}`) ?? -1

  it.each(['SIGHUP', 'POST /-/reload'])('keeps state and counters of what is unchanged, and takes in what is new: %s', async (how) => {
    const before = await runs('bad', closed, 'failed')
    const reloads = await curlew.value('curlew_config_last_reload_success_timestamp_seconds') ?? 0
    const name = `new-${how.replaceAll(/\W/g, '').toLowerCase()}`
    writeFileSync(config, `${first()}  - { name: ${name}, type: tcp, target: "127.0.0.1:${up.port}" }\n`)
    if (how === 'SIGHUP') curlew.child.kill('SIGHUP')
    else expect((await curlew.get('/-/reload', { method: 'POST' })).status).toBe(200)
    await eventually(async () => (await curlew.value(`probe_success{${labels(name, up.port)}}`)) === 1)
    expect(await curlew.value('curlew_config_last_reload_success_timestamp_seconds')).toBeGreaterThan(reloads)
    expect(await runs('bad', closed, 'failed')).toBeGreaterThanOrEqual(before)
    writeFileSync(config, first())
    curlew.child.kill('SIGHUP')
    await eventually(async () => (await curlew.samples(new RegExp(`"${name}"`))).length === 0)
  })

  it('keeps the old config when the new one is bad, and says so', async () => {
    const before = await runs('good', up.port, 'ok')
    writeFileSync(config, `${first()}  - { name: broken, type: nonsense }\n`)
    const { status, text } = await curlew.get('/-/reload', { method: 'POST' })
    expect(status).toBe(500)
    expect(text).toContain('serve.yaml:6:27: probes[2].type: expected one of')
    expect(await curlew.value('curlew_config_last_reload_successful')).toBe(0)
    await eventually(async () => (await runs('good', up.port, 'ok')) > before + 1)
    writeFileSync(config, first())
    curlew.child.kill('SIGHUP')
    await eventually(async () => (await curlew.value('curlew_config_last_reload_successful')) === 1)
  })

  it('calls what it measured while it was stopped unknown, and accuses nobody', async () => {
    const failed = await runs('good', up.port, 'failed')
    for (let pause = 0; pause < 3; pause++) {
      curlew.child.kill('SIGSTOP')
      await sleep(900)
      curlew.child.kill('SIGCONT')
      await sleep(150)
    }
    expect(await runs('good', up.port, 'failed')).toBe(failed)
    expect(await curlew.value(`probe_healthy{${labels('good', up.port)}}`)).toBe(1)
    expect(await curlew.value('curlew_runs_skipped_total{cause="missed"}')).toBeGreaterThan(0)
  })

  it('ends soon and well when it is told to', async () => {
    curlew.child.kill('SIGTERM')
    const began = Date.now()
    await eventually(() => curlew.child.exitCode !== null, 6_000, 'the exit')
    expect(curlew.child.exitCode).toBe(0)
    expect(Date.now() - began).toBeLessThan(4_000)
    expect(curlew.output()).not.toMatch(/\n\s+at /)
  })
})

it('looks for a changed config by itself when told to, secret files too', async () => {
  const secret = write('pw', 'first-password')
  const config = write('auto.yaml', `defaults: { every: 300ms, timeout: 200ms }\nprobes:\n  - { name: r, type: redis, target: "127.0.0.1:${closed}", password: "\${file:${secret}}" }\n`)
  const curlew = await serveCurlew(['-c', config, '--config.auto-reload-interval', '200ms'])
  cleanups.push(() => curlew.stop('SIGKILL'))
  await eventually(async () => (await curlew.value('curlew_targets{type="redis"}')) === 1)
  const at = await curlew.value('curlew_config_last_reload_success_timestamp_seconds') ?? 0
  writeFileSync(secret, 'second-password')
  await eventually(async () => (await curlew.value('curlew_config_last_reload_success_timestamp_seconds') ?? 0) > at)
  writeFileSync(config, 'probes: [\n')
  await eventually(async () => (await curlew.value('curlew_config_last_reload_successful')) === 0)
  const complaints = () => curlew.output().split('\n').filter((line) => line.includes('the old one stays')).length
  await sleep(700)
  expect(complaints()).toBe(1)
  await curlew.stop()
})

it('ends although a target hangs', async () => {
  const config = write('hang.yaml', `defaults: { every: 10s, timeout: 10s }\nprobes:\n  - { name: hang, type: http, target: "http://127.0.0.1:${up.port}/" }\n`)
  const curlew = await serveCurlew(['-c', config])
  cleanups.push(() => curlew.stop('SIGKILL'))
  await eventually(async () => (await curlew.value('curlew_probes_in_flight')) === 1)
  curlew.child.kill('SIGTERM')
  await eventually(() => curlew.child.exitCode === 0, 5_000, 'the exit')
})

it('says in one sentence that its port is taken', async () => {
  const config = write('port.yaml', 'probes: []\n')
  await expect(serveCurlew(['-c', config, '--web.listen-address', `127.0.0.1:${up.port}`])).rejects.toThrow(/cannot listen on 127\.0\.0\.1:\d+: another process listens there/)
})

describe.each(PROMETHEUSES)('with a real Prometheus, the $name one', (release) => {
  /** Told nothing, it asks for OpenMetrics; only newer ones can be told to ask for text. */
  const jobs = [
    { job: 'openmetrics', counter: 'probe_runs', protocols: undefined },
    ...(release.major >= 3 ? [{ job: 'text', counter: 'probe_runs_total', protocols: ['PrometheusText0.0.4'] }] : []),
  ]
  let curlew: Served
  let prometheus: Running
  let port: number

  beforeAll(async () => {
    const config = write(`${release.name}.yaml`, `defaults: { every: 500ms, timeout: 400ms }\nprobes:\n  - { name: good, type: tcp, target: "127.0.0.1:${up.port}" }\n  - { name: bad, type: tcp, target: "127.0.0.1:${closed}" }\n`)
    curlew = await serveCurlew(['-c', config])
    cleanups.push(() => curlew.stop('SIGKILL'))
    port = await freePort()
    const scrapes = jobs.map(({ job, protocols }) => ({ job_name: job, scrape_protocols: protocols, static_configs: [{ targets: [new URL(curlew.url).host] }] }))
    const file = write(`prometheus-${release.name}.json`, JSON.stringify({ global: { scrape_interval: '500ms' }, scrape_configs: scrapes }))
    prometheus = await startProcess(release.prometheus, [`--config.file=${file}`, `--storage.tsdb.path=${join(directory.path, `tsdb-${release.name}`)}`, `--web.listen-address=127.0.0.1:${port}`], { ready: () => listens(port), withinMs: 20_000 })
    cleanups.push(() => prometheus.stop())
  })

  const ask = async <T>(path: string, parameter: string) => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}=${encodeURIComponent(parameter)}`)
    return (await response.json() as { data: T }).data
  }
  const query = async (expression: string) => (await ask<{ result: { metric: Record<string, string>, value: [number, string] }[] }>('query?query', expression)).result

  it.each(jobs)('is scraped as $job, and its answers can be asked for', async ({ job, counter }) => {
    await eventually(async () => (await query(`up{job="${job}"} == 1`)).length === 1, 15_000, 'up')
    const bad = await eventually(async () => (await query(`probe_healthy{job="${job}"} == 0`))[0], 10_000, 'the sick target')
    expect(bad.metric).toMatchObject({ probe: 'bad', type: 'tcp', target: `127.0.0.1:${closed}`, job })
    expect((await query(`probe_success{job="${job}"} == 1`)).map(({ metric }) => metric['probe'])).toEqual(['good'])
    expect(await query(`probe_root_cause{job="${job}"} == 1`)).toHaveLength(1)
    await eventually(async () => Number((await query(`increase(probe_runs_total{job="${job}",probe="good",result="ok"}[5s])`))[0]?.value[1] ?? 0) > 0, 10_000, 'an increase')
    // The formats name a counter's family differently, so this tells which one was served.
    const families = await ask<{ metric: string }[]>('targets/metadata?match_target', `{job="${job}"}`)
    expect(families.map(({ metric }) => metric)).toContain(counter)
    expect(scrapeComplaints(prometheus.output())).toEqual([])
  })
})

describe('root causes, on real servers', () => {
  it('pages nobody for redis while dns is down, in both orders, on the way down and up', async () => {
    // A name server that can be switched off and on, and a service whose name only it knows.
    const web = createServer((_request, response) => response.end('ok'))
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve))
    cleanups.push(() => { web.close() })
    const gate = await freePort()
    const start = () => startProcess('dnsmasq', ['-C', '/dev/null', '-k', '-p', String(gate), '--listen-address=127.0.0.1', '--bind-interfaces', '-R', '-h', '--user=root', '--address=/app.test/127.0.0.1', `--pid-file=${join(directory.path, 'dnsmasq.pid')}`], { ready: () => true })
    let dns = await start()
    cleanups.push(() => dns.stop('SIGKILL'))
    const config = write('cause.yaml', [
      'probes:',
      `  - { name: dns, type: dns, target: "127.0.0.1:${gate}", query: app.test, every: 60s, timeout: 300ms, failure_threshold: 3 }`,
      // The service breaks with its dependency: it is asked for over the same gate.
      `  - { name: service, type: dns, target: "127.0.0.1:${gate}", query: app.test, transport: tcp, every: 400ms, timeout: 300ms, failure_threshold: 3, depends_on: [dns] }`, '',
    ].join('\n'))
    const curlew = await serveCurlew(['-c', config])
    cleanups.push(() => curlew.stop('SIGKILL'))
    const of = (metric: string, probe: string) => curlew.value(`${metric}{probe="${probe}"`)
    await eventually(async () => (await of('probe_healthy', 'service')) === 1 && (await of('probe_healthy', 'dns')) === 1, 5_000, 'both well')

    const accused: number[] = []
    let watching = true
    const watch = (async () => {
      while (watching) {
        const cause = await of('probe_root_cause', 'service').catch(() => undefined)
        if (cause !== undefined) accused.push(cause)
        await sleep(50)
      }
    })()
    for (let outage = 0; outage < 2; outage++) {
      await dns.stop('SIGKILL')
      await eventually(async () => (await of('probe_explained_by', 'service')) === 1, 10_000, 'the explanation')
      expect(await of('probe_root_cause', 'dns')).toBe(1)
      expect((await curlew.samples(/^probe_explained_by/))[0]).toContain(`root="dns/127.0.0.1:${gate}"`)
      dns = await start()
      await eventually(async () => (await of('probe_healthy', 'service')) === 1, 10_000, 'the service is back')
      // dns is next due in a minute: ask for it now, so that the second outage begins well.
      writeFileSync(config, `# ${outage}\nprobes:\n  - { name: dns, type: dns, target: "127.0.0.1:${gate}", query: app.test, every: 60s, timeout: ${301 + outage}ms, failure_threshold: 3 }\n  - { name: service, type: dns, target: "127.0.0.1:${gate}", query: app.test, transport: tcp, every: 400ms, timeout: 300ms, failure_threshold: 3, depends_on: [dns] }\n`)
      curlew.child.kill('SIGHUP')
      await eventually(async () => (await of('probe_healthy', 'dns')) === 1, 10_000, 'dns is back')
    }
    watching = false
    await watch
    expect(accused.length).toBeGreaterThan(20)
    expect(accused.filter((cause) => cause === 1)).toEqual([])
    await curlew.stop()
  }, 30_000)
})

it('does not write to what it was told only to read', async () => {
  const port = await freePort()
  const redis = await startProcess('redis-server', ['--port', String(port), '--save', '', '--appendonly', 'no', '--dir', directory.path], { ready: () => listens(port) })
  cleanups.push(() => redis.stop())
  const config = write('mode.yaml', `defaults: { every: 300ms, timeout: 250ms, mode: read-only }\nprobes:\n  - { name: r, type: redis, target: "127.0.0.1:${port}" }\n`)
  const curlew = await serveCurlew(['-c', config])
  cleanups.push(() => curlew.stop('SIGKILL'))
  await eventually(async () => ((await curlew.value('probe_runs_total{probe="r",type="redis",target="' + `127.0.0.1:${port}",result="ok"}`)) ?? 0) >= 3)
  const { execFileSync } = await import('node:child_process')
  const stats = execFileSync('redis-cli', ['-p', String(port), 'info', 'commandstats'], { encoding: 'utf8' })
  expect(stats).toContain('cmdstat_ping')
  expect(stats).not.toMatch(/cmdstat_(set|del|unlink|flushall|config)/)
  await curlew.stop()
})


it('ends with npm start, which would leave it behind a shell on its port', async () => {
  const config = write('npm.yaml', `probes: [{ name: up, type: tcp, target: "127.0.0.1:${up.port}" }]\n`)
  const npm = await startProcess('npm', ['start', '--', '-c', config, '--web.listen-address', '127.0.0.1:0'], {
    cwd: join(import.meta.dirname, '..', '..'), withinMs: 20_000, ready: (output) => output.includes('"serving"'),
  })
  npm.child.kill('SIGTERM')
  await eventually(() => npm.output().includes('"shutting down"'))
  await npm.stop()
}, 30_000)
