import { closeSync, constants, fstatSync, fsyncSync, lstatSync, openSync, opendirSync, readFileSync, readlinkSync, readSync, statfsSync, statSync, unlinkSync, writeSync, type Stats } from 'node:fs'

/** The file that `write` has opened and `sync` closes. */
let held: number | undefined

export interface FileFacts {
  readonly kind: 'file' | 'directory' | 'link' | 'other'
  /** Device number, as in mountinfo: major and minor. */
  readonly dev: number
  readonly ino: number
  readonly size: number
  readonly mtimeMs: number
}

/**
 * What a disk worker can be asked to do: single calls of the operating system, synchronous, because each of them may hang for
 * ever and only its own process may hang with it. They throw errno errors. Every answer is bounded.
 */
export const diskCalls = {
  /** /proc/self/mountinfo as it is; it touches no mount. */
  mountinfo: (): string => readFileSync('/proc/self/mountinfo', 'utf8'),

  stat: (path: string): FileFacts => factsOf(statSync(path)),

  /** Of a link itself. */
  lstat: (path: string): FileFacts => factsOf(lstatSync(path)),

  readlink: (path: string): string => readlinkSync(path),

  /** Sizes in bytes; `available` is what an unprivileged user may take. Files are 0 where the file system does not count them. */
  statfs(path: string): { type: number, size: number, free: number, available: number, files: number, filesFree: number } {
    const { type, bsize, blocks, bfree, bavail, files, ffree } = statfsSync(path)
    return { type, size: blocks * bsize, free: bfree * bsize, available: bavail * bsize, files, filesFree: ffree }
  },

  /** The first names of a directory, as it gives them. */
  list(path: string, most: number): { names: string[], more: boolean } {
    const directory = opendirSync(path)
    try {
      const names: string[] = []
      for (let entry = directory.readSync(); entry; entry = directory.readSync()) {
        if (names.length === most) return { names, more: true }
        names.push(entry.name)
      }
      return { names, more: false }
    } finally {
      directory.closeSync()
    }
  },

  /** The beginning of a regular file in base64; `more` when it is longer. A FIFO or device is not read: opening one could wait for ever. */
  read(path: string, most: number): { base64: string, more: boolean, mtimeMs: number } {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const facts = fstatSync(fd)
      if (!facts.isFile()) throw Object.assign(new Error(`EINVAL: not a regular file, read '${path}'`), { code: 'EINVAL', syscall: 'read' })
      const bytes = Buffer.alloc(Math.min(most, facts.size) + 1)
      let length = 0
      for (let count = -1; count !== 0 && length < bytes.length; length += count) count = readSync(fd, bytes, length, bytes.length - length, null)
      return { base64: bytes.toString('base64', 0, Math.min(length, most)), more: length > most, mtimeMs: facts.mtimeMs }
    } finally {
      closeSync(fd)
    }
  },

  /** Opens the file anew, empty, never through a link, and writes; it stays open for `sync`. */
  write(path: string, text: string): void {
    release()
    const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW, 0o600)
    held = fd
    const bytes = Buffer.from(text)
    for (let length = 0; length < bytes.length;) length += writeSync(fd, bytes, length)
  },

  /** Makes what was written durable and closes the file: either may be where the file system tells that it is full. */
  sync(): void {
    if (held === undefined) throw new Error('sync without write')
    fsyncSync(held)
    release()
  },

  unlink: (path: string): void => unlinkSync(path),

  /** Closes what an abandoned run has left open. */
  release,
} satisfies Readonly<Record<string, (...args: never[]) => unknown>>

export type DiskCalls = typeof diskCalls

function release(): void {
  const fd = held
  held = undefined
  if (fd !== undefined) closeSync(fd)
}

function factsOf(stats: Stats): FileFacts {
  const { dev, ino, size, mtimeMs } = stats
  return { kind: stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : stats.isSymbolicLink() ? 'link' : 'other', dev, ino, size, mtimeMs }
}
