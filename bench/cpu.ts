import { readdirSync, readFileSync } from 'node:fs'

/**
 * CPU seconds, user and system, that a process and its descendants have used so far. The scheduler's own count of each
 * thread in ns (`schedstat`): that of `/proc/<pid>/stat` goes in steps of 10 ms. What threads and children that have
 * ended used is not in it: nobody who is measured here starts short-lived ones.
 */
export function cpuSeconds(pid: number): number {
  let nanoseconds = 0
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const task = `/proc/${pid}/task/${thread}`
    nanoseconds += Number(readFileSync(`${task}/schedstat`, 'latin1').split(' ')[0])
    for (const child of readFileSync(`${task}/children`, 'latin1').split(' ')) {
      if (child !== '') nanoseconds += cpuSeconds(Number(child)) * 1e9
    }
  }
  return nanoseconds / 1e9
}

/** Memory of a process in MB (10^6 bytes): all of it, and what it does not share with others. */
export function memoryMegabytes(pid: number): { readonly rss: number, readonly pss: number } {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')
  const read = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1]) * 1024 / 1e6
  return { rss: read('Rss'), pss: read('Pss') }
}
