import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { runJob } from '../../src/core/run.ts'
import { host } from '../../src/probes/host.ts'
import { countInotify } from '../../src/probes/lib/host-inotify.ts'
import { temporaryDirectory } from '../support/process.ts'
import { declarationContract, gaugeOf, jobOf } from './contract.ts'

declarationContract(host)

const home = temporaryDirectory()
let tests = 0
let proc: string
beforeEach(() => {
  proc = join(home.path, String(++tests))
  put(WELL)
})
afterEach(() => { vi.restoreAllMocks() })
afterAll(() => home.remove())

/** Writes files below the proc of the test; undefined removes one. */
function put(files: Readonly<Record<string, string | undefined>>): void {
  for (const [path, text] of Object.entries(files)) {
    const file = join(proc, path)
    mkdirSync(dirname(file), { recursive: true })
    if (text === undefined) rmSync(file, { recursive: true })
    else writeFileSync(file, text)
  }
}

const psi = (some: string, full: string) => `some ${some}\nfull ${full}\n`
const averages = (avg10: number, avg60: number, total: number) => `avg10=${avg10.toFixed(2)} avg60=${avg60.toFixed(2)} avg300=0.00 total=${total}`
const vmstat = (refaults: number, anon = 0) => `nr_free_pages 3683969\nworkingset_refault_anon ${anon}\nworkingset_refault_file ${refaults}\npgmajfault ${refaults / 10}\npgscan_kswapd ${refaults * 2}\npgscan_direct ${refaults}\npgscan_khugepaged 0\npgscan_direct_throttle 99999999\npgscan_anon 99999999\n`
const meminfo = (available: number) => `MemTotal:       24684096 kB\nMemFree:          235916 kB\nMemAvailable:   ${Math.round(24_684_096 * available)} kB\n`

const WELL: Readonly<Record<string, string>> = {
  'meminfo': meminfo(0.5),
  'vmstat': vmstat(1_000),
  'loadavg': '3.00 4.17 4.80 1/800 3005\n',
  'stat': 'cpu  1 2 3\ncpu0 1 2 3\ncpu1 1 2 3\nintr 5\n',
  'pressure/cpu': psi(averages(23.3, 35.49, 11_000_000), averages(0, 0, 0)),
  'pressure/memory': psi(averages(2, 1, 5_000_000), averages(1, 0.5, 2_500_000)),
  'pressure/io': psi(averages(8, 6, 5_000_000), averages(4, 3.07, 1_000_000)),
  'sys/fs/file-nr': '724\t0\t1448\n',
  'sys/kernel/pid_max': '4194304\n',
  'sys/kernel/threads-max': '1000\n',
  'sys/net/netfilter/nf_conntrack_count': '5\n',
  'sys/net/netfilter/nf_conntrack_max': '1024\n',
  'sys/fs/inotify/max_user_instances': '10\n',
  'sys/fs/inotify/max_user_watches': '100\n',
  '1/net/stat/nf_conntrack': 'entries  clashres found\n00000200  00000000 00000000\n00000200  00000000 00000000\n',
  '2/comm': 'kthreadd\n',
}

/** A process with so many inotify instances of so many watches each, and other files. */
function process(pid: number, uid: number, instances: number, watches = 0): void {
  put({ [`${pid}/status`]: `Name:\tit\nUid:\t0\t${uid}\t${uid}\t${uid}\n` })
  mkdirSync(join(proc, String(pid), 'fd'), { recursive: true })
  for (let fd = 0; fd < instances; fd++) {
    symlinkSync('anon_inode:inotify', join(proc, String(pid), 'fd', String(fd)))
    put({ [`${pid}/fdinfo/${fd}`]: `pos:\t0\nflags:\t00\nmnt_id:\t15\nino:\t1057\n${'inotify wd:1 ino:f7 sdev:fd00001 mask:fc6 ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:f700000000000000\n'.repeat(watches)}` })
  }
  symlinkSync('socket:[123]', join(proc, String(pid), 'fd', '900'))
  symlinkSync('anon_inode:[eventpoll]', join(proc, String(pid), 'fd', '901'))
}

const job = (entry: Record<string, unknown> = {}) => jobOf(host, { target: 'db-1', proc, ...entry })
const run = (one = job()) => runJob(one, { signal: new AbortController().signal, instance: 'test', lateSince: () => 0, lateBoundMs: 500 })

/** Runs a job, again after ten seconds of another clock, with other files. */
async function twice(files: Readonly<Record<string, string>>, entry: Record<string, unknown> = {}, ms = 10_000) {
  const one = job(entry)
  const real = performance.now.bind(performance)
  const first = await run(one)
  let offset = 0
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => real() + offset)
  offset = ms
  put(files)
  const second = await run(one)
  clock.mockRestore()
  return { first, second }
}

describe('a host', () => {
  it('shows its pressure, its memory and what is used up', async () => {
    const result = await run()
    expect(result).toMatchObject({ status: 'ok' })
    const gauge = (name: string, labels = {}) => gaugeOf(result, `probe_host_${name}`, labels)
    expect(gauge('pressure_ratio', { resource: 'cpu', kind: 'some', window: '10s' })).toBeCloseTo(0.233)
    expect(gauge('pressure_ratio', { resource: 'io', kind: 'full', window: '60s' })).toBeCloseTo(0.0307)
    expect(gauge('pressure_stalled_seconds', { resource: 'memory', kind: 'some' })).toBe(5)
    expect(gauge('pressure_ratio', { resource: 'cpu', kind: 'full' })).toBeUndefined()
    expect([gauge('memory_stalled_ratio'), gauge('io_stalled_ratio'), gauge('memory_available_ratio')]).toEqual([0.005, expect.closeTo(0.0307), expect.closeTo(0.5)])
    expect([gauge('files_ratio'), gauge('pids_ratio'), gauge('conntrack_ratio'), gauge('load1_per_cpu')]).toEqual([0.5, 0.8, 0.5, 1.5])
    expect(gauge('major_faults_per_second')).toBeUndefined()
  })

  it('leaves out what its kernel does not tell', async () => {
    put({ 'pressure': undefined, 'sys/net': undefined, '1/net': undefined, 'sys/kernel': undefined, 'vmstat': undefined, 'stat': undefined })
    const result = await run()
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.gauges.map(({ name }) => name)).toEqual(['probe_host_memory_available_ratio', 'probe_host_files_ratio', 'probe_host_inotify_complete', 'probe_host_inotify_ratio'])
  })

  it('counts the connections of its own network where process 1 cannot be asked', async () => {
    put({ '1/net': undefined })
    expect(gaugeOf(await run(), 'probe_host_conntrack_ratio')).toBe(5 / 1024)
  })

  it('does not count those of a container\'s network', async () => {
    put({ '2/comm': 'nginx\n' })
    expect(gaugeOf(await run(), 'probe_host_conntrack_ratio')).toBe(5 / 1024)
    chmodSync(join(proc, 'sys/net/netfilter/nf_conntrack_max'), 0o444)
    expect(gaugeOf(await run(), 'probe_host_conntrack_ratio')).toBeUndefined()
  })

  it('is unknown without a proc', async () => {
    expect(await run(job({ proc: join(home.path, 'nothing') }))).toMatchObject({ status: 'unknown', failure: { layer: 'prober', reason: 'not_found', code: 'host_no_proc' } })
  })

  it('fails for a level only where that is asked for', async () => {
    expect(await run(job({ limits: { files: { warning: 0.4 } } }))).toMatchObject({ status: 'ok' })
    expect(await run(job({ limits: { files: { warning: 0.4 } }, fail_on: ['files'] }))).toMatchObject({ status: 'failed', failure: { code: 'limit_exceeded' } })
    expect(await run(job({ limits: { memory_available: { critical: 0.6 } }, fail_on: ['memory_available'] }))).toMatchObject({ status: 'failed' })
  })

  it('is that of the machine which the test runs on', async () => {
    const result = await run(job({ proc: '/proc', inotify: false }))
    expect(result).toMatchObject({ status: 'ok' })
    const available = gaugeOf(result, 'probe_host_memory_available_ratio')
    expect(available).toBeGreaterThan(0)
    expect(available).toBeLessThanOrEqual(1)
    expect(gaugeOf(result, 'probe_host_pids_ratio')).toBeGreaterThan(0)
  })
})

describe('paging', () => {
  it('is told by the second between two runs', async () => {
    const { second } = await twice({ vmstat: vmstat(6_000, 500) })
    // The two runs are a little more than ten seconds apart, on a busy machine some more.
    const gauge = (name: string, labels = {}) => Math.round((gaugeOf(second, `probe_host_${name}`, labels) ?? NaN) / 10)
    expect([gauge('refaults_per_second', { kind: 'file' }), gauge('refaults_per_second', { kind: 'anon' }), gauge('major_faults_per_second'), gauge('page_scans_per_second')]).toEqual([50, 5, 5, 150])
  })

  it('says nothing after a restart of the machine, nor after an instant', async () => {
    for (const [files, ms] of [[{ vmstat: vmstat(10) }, 10_000], [{ vmstat: vmstat(6_000) }, 500]] as const) {
      const { second } = await twice(files, {}, ms)
      expect(second).toMatchObject({ status: 'ok' })
      expect(gaugeOf(second, 'probe_host_major_faults_per_second')).toBeUndefined()
      put(WELL)
    }
  })

  const THRASHES = { 'vmstat': vmstat(101_000), 'meminfo': meminfo(0.02), 'pressure/memory': psi(averages(80, 40, 0), averages(60, 30, 0)) }
  it('that throws out what is needed fails', async () => {
    const { first, second } = await twice(THRASHES)
    expect(first).toMatchObject({ status: 'ok' })
    expect(second).toMatchObject({ status: 'failed', failure: { layer: 'request', reason: 'overloaded', code: 'host_thrashing', message: expect.stringMatching(/^all tasks stood still for want of memory in 60 % of the last 10 s, \d+ pages a second .+, 2 % of the memory is available$/) } })
    expect(gaugeOf(second, 'probe_host_inotify_complete')).toBe(1)
  })
  it.each([
    ['a full cache', { ...THRASHES, 'pressure/memory': WELL['pressure/memory']! }],
    ['a container at its own limit', { ...THRASHES, meminfo: meminfo(0.5) }],
    ['what waits for memory, but reads nothing back', { ...THRASHES, vmstat: vmstat(1_100) }],
  ])('%s is no such thing', async (_what, files) => {
    expect((await twice(files)).second).toMatchObject({ status: 'ok' })
  })
})

describe('inotify', () => {
  const users = (result: Awaited<ReturnType<typeof run>>) => result.gauges.filter(({ name }) => name === 'probe_host_inotify_instances').map(({ labels, value }) => [labels?.uid, value])

  it('is counted by the user that a process acts as', async () => {
    process(100, 1000, 3, 2)
    process(101, 1000, 5)
    process(102, 0, 2, 30)
    process(103, 7, 0)
    const result = await run()
    expect(users(result)).toEqual([['1000', 8], ['0', 2]])
    expect(gaugeOf(result, 'probe_host_inotify_watches', { uid: '0' })).toBe(60)
    expect(gaugeOf(result, 'probe_host_inotify_ratio')).toBe(0.8)
    expect(gaugeOf(result, 'probe_host_inotify_complete')).toBe(1)
  })

  it('is near its limit by watches too, and shows a few users only', async () => {
    for (let uid = 0; uid < 8; uid++) process(100 + uid, uid, 1, uid === 7 ? 95 : 0)
    const result = await run()
    expect(gaugeOf(result, 'probe_host_inotify_ratio')).toBe(0.95)
    expect(users(result)).toHaveLength(5)
    expect(users(result)[0]).toEqual(['7', 1])
  })

  it('reads many watches in pieces', async () => {
    process(100, 1000, 1, 5_000)
    expect(gaugeOf(await run(), 'probe_host_inotify_watches', { uid: '1000' })).toBe(5_000)
  })

  it('is not judged from within a container\'s own processes', async () => {
    process(100, 1000, 9)
    put({ '2/comm': 'nginx\n' })
    const result = await run()
    expect([gaugeOf(result, 'probe_host_inotify_complete'), gaugeOf(result, 'probe_host_inotify_ratio')]).toEqual([0, undefined])
    expect(users(result)).toEqual([['1000', 9]])
  })

  it('is left out where nobody wants it', async () => {
    process(100, 1000, 9)
    expect(gaugeOf(await run(job({ inotify: false })), 'probe_host_inotify_complete')).toBeUndefined()
  })

  it('is incomplete where the time is up, and lets others have their turn', async () => {
    for (let pid = 100; pid < 105; pid++) process(pid, 1000, 1)
    const { signal } = new AbortController()
    expect(await countInotify(proc, { signal, deadline: performance.now() })).toMatchObject({ complete: false })
    const real = performance.now.bind(performance)
    let offset = 0
    // Each look at the clock is 10 ms later: every step is over its time.
    vi.spyOn(performance, 'now').mockImplementation(() => real() + (offset += 10))
    let turns = 0
    // One in each turn of the event loop, however short it is.
    const count = () => { turns++; next = setImmediate(count) }
    let next = setImmediate(count)
    const counted = await countInotify(proc, { signal, deadline: Infinity })
    clearImmediate(next)
    expect(counted).toMatchObject({ complete: true })
    expect(counted.byUser.get(1000)).toEqual({ instances: 5, watches: 0 })
    expect(turns).toBeGreaterThan(1)
  })

  it('is incomplete where files of others may not be seen', async () => {
    process(100, 1000, 1)
    const fds = join(proc, '100', 'fd')
    chmodSync(fds, 0o000)
    chmodSync(home.path, 0o755)
    const nobody = globalThis.process.geteuid?.() === 0
    if (nobody) globalThis.process.seteuid?.(65_534)
    try {
      const count = () => countInotify(proc, { signal: new AbortController().signal, deadline: Infinity })
      expect(await count()).toMatchObject({ complete: false })
      if (nobody) globalThis.process.seteuid?.(0)
      chmodSync(fds, 0o755)
      if (nobody) globalThis.process.seteuid?.(65_534)
      expect(await count()).toMatchObject({ complete: true })
    } finally {
      if (nobody) globalThis.process.seteuid?.(0)
      chmodSync(fds, 0o700)
    }
  })
})
