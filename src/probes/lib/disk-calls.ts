import { closeSync, constants, fstatSync, fsyncSync, lstatSync, openSync, opendirSync, readFileSync, readlinkSync, readSync, realpathSync, statfsSync, statSync, unlinkSync, writeSync, type Stats } from 'node:fs'
import { mountsOnTheWay, parseMountinfo, type Mount } from '../../core/mountinfo.ts'

/** The file that `write` has left open for `fsync`. */
let held: number | undefined
/** The file that `write` has made, until it is to be removed. */
let made: { readonly path: string, readonly ino: number } | undefined

export interface FileFacts {
  readonly kind: 'file' | 'directory' | 'link' | 'other'
  /** Device number, as in mountinfo: major and minor. */
  readonly dev: number
  readonly ino: number
  readonly size: number
  readonly mtimeMs: number
}

/** Sizes in bytes; `available` is what an unprivileged user may take. Files are 0 where the file system does not count them. */
export interface Space {
  readonly size: number
  readonly free: number
  readonly available: number
  readonly files: number
  readonly filesFree: number
}

/**
 * What a disk worker can be asked to do: single calls of the operating system, synchronous, because each of them may hang for
 * ever and only its own process may hang with it. They throw errno errors. Every answer is bounded.
 */
export const diskCalls = {
  /** The mounts on the way to a path, the last of which holds it; touches none of them. */
  mounts: (path: string): Mount[] => mountsOnTheWay(parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8')), path),

  realpath: (path: string): string => realpathSync.native(path),

  stat: (path: string): FileFacts => factsOf(statSync(path)),

  /** Of a link itself. */
  lstat: (path: string): FileFacts => factsOf(lstatSync(path)),

  readlink: (path: string): string => readlinkSync(path),

  statfs(path: string): Space {
    const { frsize, blocks, bfree, bavail, files, ffree } = statfsSync(path)
    return { size: blocks * frsize, free: bfree * frsize, available: bavail * frsize, files, filesFree: ffree }
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
    const { bytes, more, mtimeMs } = beginningOf(path, most, 0)
    return { base64: bytes.toString('base64'), more, mtimeMs }
  },

  /**
   * Creates a file of `size` bytes, `text` again and again, and leaves it open for `fsync`. One of that name is replaced if
   * it begins with `mark`, is empty, or is as long and all zeros: an earlier run was ended before it could remove it, in the
   * last case together with its machine. Any other is left alone, be it a link to somebody's file: EEXIST. What cannot be
   * written is removed.
   */
  write(path: string, text: string, size: number, mark: string): void {
    release()
    const fd = create(path, mark, size)
    try {
      const bytes = Buffer.alloc(size, text)
      for (let written = 0; written < size;) {
        const count = writeSync(fd, bytes, written)
        if (count === 0) throw errnoError('EIO', 'write', 'nothing was written')
        written += count
      }
    } catch (error) {
      // The first error is the one that says what is wrong.
      quietly(() => closeSync(fd))
      quietly(() => unlinkSync(path))
      throw error
    }
    held = fd
    made = { path, ino: fstatSync(fd).ino }
  },

  /** Makes what was written durable and closes the file: either may be where the file system tells that it is full. */
  fsync(): void {
    const fd = held
    if (fd === undefined) throw new Error('fsync without write')
    held = undefined
    try {
      fsyncSync(fd)
    } catch (error) {
      quietly(() => closeSync(fd))
      throw error
    }
    closeSync(fd)
  },

  /** Whether a file is `text` again and again, `size` bytes; else in which respect it differs. */
  compare(path: string, text: string, size: number): { readonly differs: string | undefined } {
    const { bytes, more } = beginningOf(path, size, constants.O_NOFOLLOW)
    if (more) return { differs: `it is longer than the ${size} bytes that were written` }
    const wanted = Buffer.alloc(size, text)
    if (bytes.length < size) return { differs: `it has ${bytes.length} of the ${size} bytes that were written` }
    const at = bytes.equals(wanted) ? -1 : bytes.findIndex((byte, index) => byte !== wanted[index])
    return { differs: at < 0 ? undefined : `it differs from what was written at byte ${at}` }
  },

  unlink(path: string): void {
    made = undefined
    unlinkSync(path)
  },

  /** Closes and removes what an abandoned run has left behind. */
  release,
} satisfies Readonly<Record<string, (...args: never[]) => unknown>>

export type DiskCalls = typeof diskCalls

function release(): void {
  const [fd, file] = [held, made]
  held = made = undefined
  if (fd !== undefined) quietly(() => closeSync(fd))
  // Another run may have put its own in the place.
  if (file) quietly(() => { if (lstatSync(file.path).ino === file.ino) unlinkSync(file.path) })
}

/** O_EXCL: what is opened is new, whatever somebody may have put in its place. */
function create(path: string, mark: string, size: number): number {
  const open = () => openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600)
  try {
    return open()
  } catch (error) {
    if (codeOf(error) !== 'EEXIST' || !isOurs(path, mark, size)) throw error
  }
  unlinkSync(path)
  return open()
}

/** Whether it is a plain file that begins so, or one whose content was lost; what may not be read is not. */
function isOurs(path: string, mark: string, size: number): boolean {
  if (!lstatSync(path).isFile()) return false
  try {
    const { bytes, more } = beginningOf(path, size, constants.O_NOFOLLOW)
    // Of what was not synced before a crash, ext4 and XFS may keep the length alone.
    return bytes.toString('utf8', 0, mark.length) === mark || (!more && bytes.every((byte) => byte === 0))
  } catch (error) {
    if (codeOf(error) === 'EACCES') return false
    throw error
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

function beginningOf(path: string, most: number, flags: number): { bytes: Buffer, more: boolean, mtimeMs: number } {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | flags)
  try {
    const facts = fstatSync(fd)
    if (!facts.isFile()) throw errnoError('EINVAL', 'read', `not a regular file, read '${path}'`)
    const bytes = Buffer.alloc(Math.min(most, facts.size) + 1)
    let length = 0
    for (let count = -1; count !== 0 && length < bytes.length; length += count) count = readSync(fd, bytes, length, bytes.length - length, null)
    return { bytes: bytes.subarray(0, Math.min(length, most)), more: length > most, mtimeMs: facts.mtimeMs }
  } finally {
    closeSync(fd)
  }
}

function quietly(work: () => void): void {
  try {
    work()
  } catch {
    // An earlier error is what matters.
  }
}

function errnoError(code: string, syscall: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code, syscall })
}

function factsOf(stats: Stats): FileFacts {
  const { dev, ino, size, mtimeMs } = stats
  return { kind: stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : stats.isSymbolicLink() ? 'link' : 'other', dev, ino, size, mtimeMs }
}
