import { readFileSync, statSync } from 'node:fs'
import { posix } from 'node:path'

/**
 * A file of a proc file system, or undefined where this kernel has none, or gives it to nobody: PSI that was turned off at
 * boot answers EOPNOTSUPP. proc is memory and does not hang; each file here is read in well under a millisecond.
 */
export function readProc(proc: string, path: string): string | undefined {
  try {
    return readFileSync(posix.join(proc, path), 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ESRCH', 'EINVAL'].includes(String(code))) return undefined
    throw error
  }
}

/** Numbers by name of `name: 1 kB` and `name 1` lines, as /proc/meminfo and /proc/vmstat have them. */
export function numbersOf(text: string): ReadonlyMap<string, number> {
  return new Map(Array.from(text.matchAll(/^(\S+?):?[ \t]+(\d+)/gm), ([, name = '', value]) => [name, Number(value)]))
}

/** The first number of a file of few; undefined where there is none. */
export function numberIn(text: string | undefined, at = 0): number | undefined {
  const word = text?.trim().split(/\s+/)[at]
  return word !== undefined && /^\d+$/.test(word) ? Number(word) : undefined
}

export interface Pressure {
  readonly resource: 'cpu' | 'memory' | 'io'
  /** `some` of the tasks waited, or all that had something to do (`full`). */
  readonly kind: 'some' | 'full'
  /** Shares of the last 10 and 60 s, 0-1. */
  readonly avg10: number
  readonly avg60: number
  /** Seconds since boot. */
  readonly total: number
}

/** Pressure stall information: https://docs.kernel.org/accounting/psi.html. None where the kernel has none. Of the CPU of a whole machine `full` says nothing. */
export function pressures(proc: string): readonly Pressure[] {
  return (['cpu', 'memory', 'io'] as const).flatMap((resource) => {
    const lines = (readProc(proc, `pressure/${resource}`) ?? '').matchAll(/^(some|full) avg10=([\d.]+) avg60=([\d.]+) avg300=[\d.]+ total=(\d+)$/gm)
    return Array.from(lines, ([, kind, avg10, avg60, total]): Pressure => (
      { resource, kind: kind === 'full' ? 'full' : 'some', avg10: Number(avg10) / 100, avg60: Number(avg60) / 100, total: Number(total) / 1e6 }
    )).filter((one) => one.resource !== 'cpu' || one.kind === 'some')
  })
}

/** Counters of /proc/vmstat since boot. */
export interface Paging {
  /** Pages that were thrown out of memory and wanted again soon after. */
  readonly refaultsFile: number
  readonly refaultsAnon: number
  /** Faults that had to wait for a disk. */
  readonly majorFaults: number
  /** Pages looked at in search of some to throw out. */
  readonly scans: number
}

/** Names differ between kernels: one counter of refaults before 5.9, scans by zone before 4.8. */
export function paging(proc: string): Paging | undefined {
  const text = readProc(proc, 'vmstat')
  if (text === undefined) return undefined
  const counters = numbersOf(text)
  const scans = Array.from(counters).filter(([name]) => /^pgscan_(?:kswapd|direct|khugepaged)(?:_(?:dma|dma32|normal|high|movable))?$/.test(name))
  return {
    refaultsFile: counters.get('workingset_refault_file') ?? counters.get('workingset_refault') ?? 0,
    refaultsAnon: counters.get('workingset_refault_anon') ?? 0,
    majorFaults: counters.get('pgmajfault') ?? 0,
    scans: scans.reduce((sum, [, value]) => sum + value, 0),
  }
}

/** Shares of what the kernel hands out, 0-1; those that this kernel tells. */
export interface Shares {
  readonly files: number | undefined
  readonly pids: number | undefined
  readonly conntrack: number | undefined
}

export function shares(proc: string): Shares {
  const files = readProc(proc, 'sys/fs/file-nr')
  const tasks = /^\S+ \S+ \S+ \d+\/(\d+)/.exec(readProc(proc, 'loadavg') ?? '')?.[1]
  const limits = ['pid_max', 'threads-max'].flatMap((name) => numberIn(readProc(proc, `sys/kernel/${name}`)) ?? [])
  return {
    files: ratio(numberIn(files, 0), numberIn(files, 2)),
    pids: ratio(tasks === undefined ? undefined : Number(tasks), limits.length === 0 ? undefined : Math.min(...limits)),
    conntrack: ratio(tracked(proc), numberIn(readProc(proc, 'sys/net/netfilter/nf_conntrack_max'))),
  }
}

/** Whether the processes of the whole host are seen here: its kernel's own threads are, and not from within a container. */
export function seesHost(proc: string): boolean {
  return readProc(proc, '2/comm') === 'kthreadd\n'
}

/**
 * Connections that the host's network tracks: that of process 1, where that is the host's. What stands under sys/net is of
 * the network of whoever reads; only in the host's own one is the maximum there to be written (nf_conntrack_standalone.c).
 */
function tracked(proc: string): number | undefined {
  const entries = seesHost(proc) ? /^entries.*\n([0-9a-f]+)\s/.exec(readProc(proc, '1/net/stat/nf_conntrack') ?? '')?.[1] : undefined
  if (entries !== undefined) return Number.parseInt(entries, 16)
  const max = statSync(posix.join(proc, 'sys/net/netfilter/nf_conntrack_max'), { throwIfNoEntry: false })
  return max && (max.mode & 0o200) !== 0 ? numberIn(readProc(proc, 'sys/net/netfilter/nf_conntrack_count')) : undefined
}

/** The load of the last minute for each CPU. */
export function loadPerCpu(proc: string): number | undefined {
  const load = Number.parseFloat(readProc(proc, 'loadavg') ?? '')
  const cpus = (readProc(proc, 'stat') ?? '').match(/^cpu\d+ /gm)?.length
  return cpus === undefined || !Number.isFinite(load) ? undefined : load / cpus
}

function ratio(used: number | undefined, all: number | undefined): number | undefined {
  return used === undefined || all === undefined || all === 0 ? undefined : used / all
}
