import { closeSync, opendirSync, openSync, readlinkSync, readSync, type Dir } from 'node:fs'
import { posix } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { numberIn, readProc, seesHost } from './host-proc.ts'

/** What runs here may hold the event loop so long at a time. */
const STEP_MS = 8
/** All of it may take so long: what is not seen by then makes the count incomplete. */
const MOST_MS = 2_000
const INOTIFY = 'anon_inode:inotify'
const WATCH = 'inotify wd:'

export interface InotifyUse {
  readonly instances: number
  readonly watches: number
}

export interface InotifyCount {
  /** By the user that the kernel charges. */
  readonly byUser: ReadonlyMap<number, InotifyUse>
  /** Whether every process could be looked at, in time. */
  readonly complete: boolean
}

/**
 * Counts inotify instances and watches by user: every file descriptor of every process is looked at, since the kernel tells
 * its count to nobody. One that several processes share counts for each. Takes turns with everything else in this process;
 * ends at `deadline` (`performance.now()`).
 */
export async function countInotify(proc: string, { signal, deadline }: { readonly signal: AbortSignal, readonly deadline: number }): Promise<InotifyCount> {
  const byUser = new Map<number, InotifyUse>()
  const end = Math.min(deadline, performance.now() + MOST_MS)
  let stepped = performance.now()
  const processes = namesIn(proc)
  if (processes === undefined || processes === 'denied') return { byUser, complete: false }
  let complete = seesHost(proc)
  /** False once the time is up. */
  const goOn = async (): Promise<boolean> => {
    const now = performance.now()
    if (now >= end) return complete = false
    if (now - stepped < STEP_MS) return true
    await setImmediate()
    signal.throwIfAborted()
    stepped = performance.now()
    return true
  }
  const chunk = Buffer.alloc(16 * 1024)

  for (const process of processes) {
    if (!/^\d+$/.test(process)) continue
    if (!await goOn()) break
    const fds = namesIn(posix.join(proc, process, 'fd'))
    if (fds === 'denied') complete = false
    if (fds === undefined || fds === 'denied') continue
    const found: string[] = []
    for (const fd of fds) {
      if (!await goOn()) break
      if (linkOf(posix.join(proc, process, 'fd', fd)) === INOTIFY) found.push(fd)
    }
    if (found.length === 0) continue
    // Charged to whom the process acts as: the second of its four.
    const user = numberIn(/^Uid:\s+\d+\s+(\d+)/m.exec(readProc(proc, posix.join(process, 'status')) ?? '')?.[1])
    if (user === undefined) continue
    for (const fd of found) {
      const { instances, watches } = byUser.get(user) ?? { instances: 0, watches: 0 }
      byUser.set(user, { instances: instances + 1, watches: watches + await watchesOf(posix.join(proc, process, 'fdinfo', fd), chunk, goOn) })
    }
  }
  return { byUser, complete }
}

/** Lines of the form `inotify wd:1 ino:…`: https://docs.kernel.org/filesystems/proc.html */
async function watchesOf(path: string, chunk: Buffer, goOn: () => Promise<boolean>): Promise<number> {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch {
    return 0
  }
  try {
    let watches = 0
    let rest = ''
    for (let count = read(file, chunk); count > 0; count = read(file, chunk)) {
      const lines = (rest + chunk.toString('latin1', 0, count)).split('\n')
      rest = lines.pop() ?? ''
      watches += lines.filter((line) => line.startsWith(WATCH)).length
      if (!await goOn()) break
    }
    return watches
  } finally {
    closeSync(file)
  }
}

function read(file: number, chunk: Buffer): number {
  try {
    return readSync(file, chunk)
  } catch {
    // The process has ended.
    return 0
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

/** The names in a directory, read as they are wanted; `denied` where this user may not, undefined where it is gone. */
function namesIn(path: string): Iterable<string> | 'denied' | undefined {
  let directory: Dir
  try {
    directory = opendirSync(path, { bufferSize: 128 })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    return code === 'EACCES' || code === 'EPERM' ? 'denied' : undefined
  }
  return names(directory)
}

function* names(directory: Dir): Generator<string, void> {
  try {
    for (let entry = directory.readSync(); entry; entry = directory.readSync()) yield entry.name
  } catch {
    // The process has ended meanwhile.
  } finally {
    directory.closeSync()
  }
}
