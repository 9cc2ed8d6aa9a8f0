import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

export interface ChildProcess {
  readonly pid: number
  /** Its arguments, with spaces between them. */
  readonly command: string
  /** The kernel's letter: R, S, D, T, Z. */
  readonly state: string
  /** What its file descriptors lead to. */
  readonly files: readonly string[]
}

/** The processes that a process has started and that still are there; a process that has been orphaned is nobody's. */
export function childrenOf(parent: number): ChildProcess[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    try {
      const [state, ppid] = fieldsOf(name)
      if (Number(ppid) !== parent) return []
      return [{ pid: Number(name), state: state!, command: readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim(), files: filesOf(name) }]
    } catch {
      // It ended while it was looked at.
      return []
    }
  })
}

/** The processes that have a file open below a directory. */
export function processesOn(directory: string): number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    try {
      return filesOf(String(pid)).some((file) => file.startsWith(`${directory}/`))
    } catch {
      return false
    }
  })
}

/** Whether a process is there, be it in a call that nobody can end. */
export function isAlive(pid: number): boolean {
  try {
    return fieldsOf(String(pid))[0] !== 'Z'
  } catch {
    return false
  }
}

/** The fields of /proc/PID/stat that follow the name, which may hold anything. */
function fieldsOf(pid: string): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  return text.slice(text.lastIndexOf(')') + 2).split(' ')
}

function filesOf(pid: string): string[] {
  return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
}
