import { readdirSync, readFileSync } from 'node:fs'

/** Clock ticks of `/proc/<pid>/stat` in a second, on every Linux that Node runs on. */
const TICKS = 100

/**
 * CPU seconds, user and system, that a process and its descendants have used so far. The scheduler's own count of each
 * thread in ns (`schedstat`): that of `/proc/<pid>/stat` goes in steps of 10 ms, and is used for children that have ended
 * only (cutime and cstime). What threads that have ended used is not in it: nobody who is measured here starts short-lived ones.
 */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  let seconds = (Number(fields[13]) + Number(fields[14])) / TICKS
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const task = `/proc/${pid}/task/${thread}`
    seconds += Number(readFileSync(`${task}/schedstat`, 'latin1').split(' ')[0]) / 1e9
    for (const child of readFileSync(`${task}/children`, 'latin1').split(' ')) {
      if (child !== '') seconds += cpuSeconds(Number(child))
    }
  }
  return seconds
}

/** Memory of a process in MB (10^6 bytes): all of it, and what it does not share with others. */
export function memoryMegabytes(pid: number): { readonly rss: number, readonly pss: number } {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')
  const read = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1]) * 1024 / 1e6
  return { rss: read('Rss'), pss: read('Pss') }
}
