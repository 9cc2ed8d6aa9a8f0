import { z } from 'zod'
import type { SharedCode } from '../core/codes.ts'
import { defineProbe, type ProbeContext, type Target } from '../core/probe.ts'
import { countInotify, type InotifyCount } from './lib/host-inotify.ts'
import { loadPerCpu, numberIn, numbersOf, paging, pressures, readProc, shares, type Paging } from './lib/host-proc.ts'
import { parsePath } from './lib/path-target.ts'
import { queryOptions } from './lib/url-query.ts'

/** Shorter than that, a rate says nothing. */
const SHORTEST_RATE_MS = 1_000
/** Users with series of their own: those that have the most. */
const MOST_USERS = 5
/** Kept back from the run's time. */
const MARGIN_MS = 250

/**
 * Thrashing, for certain: for so much of the last ten seconds nothing on the whole machine went on for want of memory, pages
 * that were just thrown out are read back (4 MB/s), and there is nothing left to take. Each alone happens to healthy
 * machines: a full cache refaults, a container at its own limit stalls itself.
 */
const THRASHING = { stalled: 0.3, refaults: 1_000, available: 0.1 } as const

/** A machine, under the name that it is to have in labels. */
class Machine implements Target {
  readonly name: string

  constructor(name: string) {
    this.name = name
  }

  toString(): string {
    return this.name
  }
}

const options = z.strictObject({
  target: z.string().regex(/^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/, 'expected a name of letters, digits, ., _ and -')
    .transform((name) => new Machine(name)).describe('what this machine is called; nothing is looked up'),
  proc: z.string().refine((path) => parsePath(path) !== undefined, 'expected an absolute path such as /host/proc').default('/proc').describe('the proc file system of the machine: /host/proc in a container that has it there'),
  inotify: z.boolean().default(true).describe('count inotify instances and watches by user, for which each file descriptor of each process is looked at; needs root and, in a container, the host\'s processes'),
})

type Options = z.output<typeof options>

const gauges = {
  probe_host_pressure_ratio: { help: 'Pressure stall information: the share of time in which some tasks waited for the resource, or all of them (full).', labels: ['resource', 'kind', 'window'], series: 10 },
  probe_host_pressure_stalled_seconds: { help: 'The same as a counter, in seconds since boot.', labels: ['resource', 'kind'], series: 5 },
  probe_host_memory_stalled_ratio: 'Share of the last minute in which nothing went on for want of memory (PSI, full avg60).',
  probe_host_io_stalled_ratio: 'Share of the last minute in which nothing went on for want of a disk (PSI, full avg60).',
  probe_host_memory_available_ratio: 'Memory that can be had without swapping, over all.',
  probe_host_refaults_per_second: { help: 'Pages that were thrown out and wanted again, per second since the run before: of files, or of processes (anon).', labels: ['kind'], series: 2 },
  probe_host_major_faults_per_second: 'Page faults that waited for a disk, per second since the run before.',
  probe_host_page_scans_per_second: 'Pages looked at in search of some to throw out, per second since the run before.',
  probe_host_inotify_complete: 'Whether every process of the machine could be looked at; where it is 0 the ratio is left out.',
  probe_host_inotify_ratio: 'inotify instances, or watches, of the user that is nearest to its limit, over that limit.',
  probe_host_inotify_instances: { help: 'inotify instances of the users that have the most, against fs.inotify.max_user_instances.', labels: ['uid'], series: MOST_USERS },
  probe_host_inotify_watches: { help: 'inotify watches of the same users, against fs.inotify.max_user_watches.', labels: ['uid'], series: MOST_USERS },
  probe_host_files_ratio: 'Open files over fs.file-max.',
  probe_host_pids_ratio: 'Tasks over the smaller of kernel.pid_max and kernel.threads-max.',
  probe_host_conntrack_ratio: 'Tracked connections over net.netfilter.nf_conntrack_max; absent in a container with neither the host\'s processes nor its network.',
  probe_host_load1_per_cpu: 'Load of the last minute over the number of CPUs.',
}

type Context = ProbeContext<'read' | 'inotify', keyof typeof gauges, 'host_thrashing' | 'host_no_proc' | SharedCode>

/** What the run before has counted, by the options of its job. */
const memory = new WeakMap<Options, Paging & { readonly at: number }>()

export const host = defineProbe({
  type: 'host',
  summary: 'What freezes servers: memory, disk and CPU pressure, page-cache thrash, inotify, files, pids, connection tracking; of this machine, from /proc',
  options,
  phases: { read: 'request', inotify: 'prober' },
  gauges,
  codes: {
    host_thrashing: { layer: 'request', reason: 'overloaded', en: 'The machine throws out what it needs and reads it back: it stands still for want of memory, and will soon not let anybody in. Stop the largest process, or add memory.', zh: '机器正在反复换出并重新读入所需页面：因内存不足而停顿，很快将无法登录。请停止占用内存最多的进程或增加内存。' },
    host_no_proc: { layer: 'prober', reason: 'not_found', en: 'There is no proc file system of Linux at the path that the option proc names.', zh: '选项 proc 指定的路径下没有 Linux proc 文件系统。' },
  },
  levels: {
    memory_stalled: { gauge: 'probe_host_memory_stalled_ratio', worse: 'above' },
    memory_available: { gauge: 'probe_host_memory_available_ratio', worse: 'below' },
    io_stalled: { gauge: 'probe_host_io_stalled_ratio', worse: 'above' },
    inotify: { gauge: 'probe_host_inotify_ratio', worse: 'above' },
    files: { gauge: 'probe_host_files_ratio', worse: 'above' },
    pids: { gauge: 'probe_host_pids_ratio', worse: 'above' },
    conntrack: { gauge: 'probe_host_conntrack_ratio', worse: 'above' },
  },
  schemes: ['host'],
  fromUrl(url) {
    return { ...queryOptions(url), target: url.host.toLowerCase() }
  },
  example: { target: 'db-1' },
  release: (options) => { memory.delete(options) },

  async run(options, probe) {
    const verdict = await probe.phase('read', () => look(options, probe))
    if (options.inotify) await probe.phase('inotify', async () => exportInotify(options.proc, await countInotify(options.proc, { signal: probe.signal, deadline: probe.deadline - MARGIN_MS }), probe))
    if (verdict !== undefined) probe.fail('host_thrashing', verdict)
  },
})

/** Exports everything that is cheap. What says that the machine thrashes, if it does. */
function look(options: Options, probe: Context): string | undefined {
  const { proc } = options
  const meminfo = readProc(proc, 'meminfo')
  if (meminfo === undefined) return probe.fail('host_no_proc', `there is no ${proc}/meminfo`)
  const sizes = numbersOf(meminfo)
  const [available, total] = [sizes.get('MemAvailable'), sizes.get('MemTotal')]
  const left = available === undefined || total === undefined || total === 0 ? undefined : available / total
  set(probe, 'probe_host_memory_available_ratio', left)
  const stalled = exportPressure(proc, probe)
  const refaults = exportPaging(options, probe)
  const { files, pids, conntrack } = shares(proc)
  set(probe, 'probe_host_files_ratio', files)
  set(probe, 'probe_host_pids_ratio', pids)
  set(probe, 'probe_host_conntrack_ratio', conntrack)
  set(probe, 'probe_host_load1_per_cpu', loadPerCpu(proc))
  if (stalled === undefined || refaults === undefined || left === undefined) return undefined
  if (stalled < THRASHING.stalled || refaults < THRASHING.refaults || left > THRASHING.available) return undefined
  return `all tasks stood still for want of memory in ${percent(stalled)} of the last 10 s, ${Math.round(refaults)} pages a second were read back that had just been thrown out, ${percent(left)} of the memory is available`
}

/** How much of the last ten seconds everything waited for memory. */
function exportPressure(proc: string, probe: Context): number | undefined {
  const found = pressures(proc)
  for (const { resource, kind, avg10, avg60, total } of found) {
    probe.gauge('probe_host_pressure_ratio', avg10, { resource, kind, window: '10s' })
    probe.gauge('probe_host_pressure_ratio', avg60, { resource, kind, window: '60s' })
    probe.gauge('probe_host_pressure_stalled_seconds', total, { resource, kind })
  }
  const full = (resource: string) => found.find((one) => one.resource === resource && one.kind === 'full')
  set(probe, 'probe_host_memory_stalled_ratio', full('memory')?.avg60)
  set(probe, 'probe_host_io_stalled_ratio', full('io')?.avg60)
  return full('memory')?.avg10
}

/** Refaults of all kinds a second; undefined at the first run, which has nothing to compare with. */
function exportPaging(options: Options, probe: Context): number | undefined {
  const now = paging(options.proc)
  const at = performance.now()
  const before = memory.get(options)
  if (now) memory.set(options, { ...now, at })
  const ms = before ? at - before.at : 0
  // Counters begin anew with the machine, which another one may be by now where the path leads elsewhere.
  if (!now || !before || ms < SHORTEST_RATE_MS || now.majorFaults < before.majorFaults || now.refaultsFile < before.refaultsFile || now.scans < before.scans) return undefined
  const rate = (counter: keyof Paging) => (now[counter] - before[counter]) * 1_000 / ms
  probe.gauge('probe_host_refaults_per_second', rate('refaultsFile'), { kind: 'file' })
  probe.gauge('probe_host_refaults_per_second', rate('refaultsAnon'), { kind: 'anon' })
  probe.gauge('probe_host_major_faults_per_second', rate('majorFaults'))
  probe.gauge('probe_host_page_scans_per_second', rate('scans'))
  return rate('refaultsFile') + rate('refaultsAnon')
}

function exportInotify(proc: string, { byUser, complete }: InotifyCount, probe: Context): void {
  const limit = (name: string) => numberIn(readProc(proc, `sys/fs/inotify/${name}`)) ?? Infinity
  const [instances, watches] = [limit('max_user_instances'), limit('max_user_watches')]
  probe.gauge('probe_host_inotify_complete', Number(complete))
  const users = Array.from(byUser, ([uid, use]) => ({ uid: String(uid), ...use, share: Math.max(use.instances / instances, use.watches / watches) })).toSorted((a, b) => b.share - a.share)
  for (const user of users.slice(0, MOST_USERS)) {
    probe.gauge('probe_host_inotify_instances', user.instances, { uid: user.uid })
    probe.gauge('probe_host_inotify_watches', user.watches, { uid: user.uid })
  }
  if (complete) probe.gauge('probe_host_inotify_ratio', users[0]?.share ?? 0)
}

function set(probe: Context, name: keyof typeof gauges, value: number | undefined): void {
  if (value !== undefined) probe.gauge(name, value)
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}
