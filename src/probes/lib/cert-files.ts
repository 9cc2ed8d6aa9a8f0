import { setTimeout as sleep } from 'node:timers/promises'
import { DiskHung, openDisk, type Disk } from './disk.ts'
import type { FileFacts } from './disk-calls.ts'
import { FileProblem } from './cert-codes.ts'

/** The file system as the probed host sees it: links are followed by hand, so that absolute ones stay below `root`. */
export interface Files {
  /** What a path leads to. Throws FileProblem. */
  kind(path: string): Promise<FileFacts['kind']>
  /** The names in a directory, sorted; `more` when there are others. Throws FileProblem. */
  list(path: string): Promise<{ readonly names: readonly string[], readonly more: boolean }>
  /** A regular file of at most 1 MB; undefined for anything that is none. Throws FileProblem. */
  read(path: string): Promise<Buffer | undefined>
  close(): void
}

const MOST_BYTES = 1024 * 1024
const MOST_NAMES = 10_000
/** As Linux has it: path_resolution(7). */
const MOST_LINKS = 40
/**
 * A file that is being replaced may be gone for a moment: the kubelet removes the link to its certificate before it renames
 * the new one over it (client-go, certificate_store.go), and a mounted Secret is swapped behind a link.
 */
const RETRY_MS = [10, 40, 150]
/** Waiting for files that are really missing must not use up the run. */
const MOST_WAITING_MS = 600

/** Errors of the file system that are about this machine's resources: they are thrown as they are. */
const OURS: readonly string[] = ['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS']

/** Opens the file system for one run; `root` stands before every path. Throws FileProblem when an earlier run still hangs at `place`. */
export async function openFiles(place: string, root: string, run: { readonly signal: AbortSignal, readonly deadline: number }): Promise<Files> {
  const disk = await openDisk(place, run).catch((error: unknown) => { throw explained(place, error) })
  /** Directories of this run that are no links. */
  const plain = new Set<string>()
  let waited = 0

  const again = async <T>(path: string, work: () => Promise<T>): Promise<T> => {
    for (const ms of RETRY_MS) {
      try {
        return await work()
      } catch (error) {
        if (codeOf(error) !== 'ENOENT' || waited + ms > MOST_WAITING_MS) throw explained(path, error)
        waited += ms
        await sleep(ms, undefined, { signal: run.signal })
      }
    }
    return work().catch((error: unknown) => { throw explained(path, error) })
  }

  return {
    kind: (path) => again(path, async () => (await follow(disk, root, path, plain)).kind),
    async list(path) {
      try {
        const { names, more } = await disk.call('list', (await follow(disk, root, path, plain)).path, MOST_NAMES)
        return { names: names.toSorted(), more }
      } catch (error) {
        throw explained(path, error)
      }
    },
    read: (path) => again(path, async () => {
      const found = await follow(disk, root, path, plain)
      if (found.kind !== 'file') return undefined
      const { base64, more } = await disk.call('read', found.path, MOST_BYTES)
      if (more) throw new FileProblem('cert_unsupported', `${path} is larger than 1 MB`)
      return Buffer.from(base64, 'base64')
    }),
    close: () => disk.close(),
  }
}

/** Where a path leads, without links, and as the operating system needs it. `..` at the root stays there, as in a chroot. */
async function follow(disk: Disk, root: string, path: string, plain: Set<string>): Promise<{ path: string, kind: FileFacts['kind'] }> {
  let at = ''
  let kind: FileFacts['kind'] = 'directory'
  let links = 0
  let link: string | undefined
  const names = partsOf(path)
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    if (name === '..') at = at.slice(0, Math.max(0, at.lastIndexOf('/')))
    if (name === '..' || name === '.') continue
    const next = `${at}/${name}`
    if (plain.has(next)) {
      at = next
      kind = 'directory'
      continue
    }
    const found: FileFacts = await disk.call('lstat', root + next).catch((error: unknown) => { throw link === undefined ? error : Object.assign(asError(error), { link }) })
    kind = found.kind
    if (kind !== 'link') {
      if (kind === 'directory') plain.add(next)
      at = next
      continue
    }
    if (++links > MOST_LINKS) throw Object.assign(new Error('too many symbolic links'), { code: 'ELOOP' })
    const target = await disk.call('readlink', root + next)
    link = `${next} is a link to ${target}`
    names.unshift(...partsOf(target))
    if (target.startsWith('/')) at = ''
  }
  return { path: `${root}${at}` || '/', kind }
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '')
}

/** What an error says of a file; errors that are not about it are returned as they are. */
function explained(path: string, error: unknown): unknown {
  if (error instanceof DiskHung) return new FileProblem('cert_hung', `${path}: ${error.message}`)
  const code = codeOf(error)
  if (code === undefined || OURS.includes(code) || !/^E[A-Z0-9]+$/.test(code)) return error
  const link = error instanceof Error && 'link' in error && typeof error.link === 'string' ? error.link : undefined
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return link === undefined ? new FileProblem('cert_not_found', `${path} does not exist`) : new FileProblem('cert_broken_link', `${link}, which does not exist${link.startsWith(`${path} `) ? '' : ` (on the way to ${path})`}`)
    case 'ELOOP': return new FileProblem('cert_broken_link', `${path} is a link that leads back to itself`)
    case 'EACCES':
    case 'EPERM': return new FileProblem('cert_denied', `${path} may not be read (${code})`)
    default: return new FileProblem('cert_read_other', `${path} cannot be read (${code})`)
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
