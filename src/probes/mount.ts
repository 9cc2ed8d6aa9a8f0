import { createHash, randomUUID } from 'node:crypto'
import { posix } from 'node:path'
import { z } from 'zod'
import type { SharedCode } from '../core/codes.ts'
import { byteSize } from '../core/fields.ts'
import type { Mount } from '../core/mountinfo.ts'
import { defineProbe, ProbeFailure, type ProbeContext } from '../core/probe.ts'
import { DiskHung, openDisk, type Disk } from './lib/disk.ts'
import type { DiskCalls, Space } from './lib/disk-calls.ts'
import { MOUNT_CODES, mountFailure, type MountCode } from './lib/mount-codes.ts'
import { absolutePath, pathOfUrl } from './lib/path-target.ts'

const KB = 1024

const options = z.strictObject({
  target: absolutePath().describe('the absolute path where it is mounted, or a link to it'),
  fstype: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).optional().describe('the type, or one of several, that must be mounted there, as /proc/self/mountinfo names it: ceph, fuse.ceph-fuse, nfs4, ext4'),
  device: z.string().min(1).optional().describe('what must be mounted there, as /proc/self/mountinfo names it: server:/export, /dev/longhorn/pvc-1'),
  require_mount: z.boolean().default(true).describe('the path itself must be a mount point; a bind mount is one, of the type that it shows. With false any directory will do, and fstype and device are asked of the mount that holds it'),
  file: z.string().regex(/^(?!\.{1,2}$)[^/\0]{1,200}$/, 'expected the name of a file, without a path').optional().describe('name of the one file that the probe writes and removes, .curlew-probe- and a number of its own unless given; a file of that name that Curlew has not written is left alone'),
  size: byteSize().refine((bytes) => bytes >= 64 && bytes <= KB * KB, 'expected 64B to 1MB').prefault('4KB').describe('how much is written and read back, and read of read_file'),
  read_file: z.string().regex(/^(?!\/)(?!(?:.*\/)?\.\.(?:\/|$))[^\0]{1,1000}$/, 'expected a path below the target, without ..').optional().describe('a file below the target that must be readable'),
})

type Options = z.output<typeof options>

const phases = { mounted: 'connect', statfs: 'request', write: 'request', fsync: 'request', read: 'request', unlink: 'request' } as const

const gauges = {
  probe_mount_info: { help: 'Always 1; type and device of what is mounted.', labels: ['fstype', 'device'] },
  probe_mount_readonly: 'Whether it is mounted read-only, or has turned read-only.',
  probe_mount_size_bytes: 'Size of the file system.',
  probe_mount_available_bytes: 'Space that a user other than root may take.',
  probe_mount_used_ratio: 'Space taken over what may be taken, as df shows it; absent where the file system tells no size.',
  probe_mount_files: 'Inodes of the file system; absent, like the other two, where it counts none.',
  probe_mount_files_free: 'Inodes that are free.',
  probe_mount_files_used_ratio: 'Inodes taken over all.',
  probe_mount_stuck_seconds: 'How long the call that hangs has been waiting; absent unless one does.',
}

type Phase = keyof typeof phases
type Context = ProbeContext<Phase, keyof typeof gauges, MountCode | SharedCode>

/** What the file of the probe begins with: a file that begins otherwise is somebody else's. */
const MARK = 'curlew-probe '
/** Names read of a directory: enough for one answer of its server. */
const MOST_NAMES = 100
const LONGEST_DEVICE = 200

export const mount = defineProbe({
  type: 'mount',
  summary: 'A mount (Ceph, NFS, Longhorn, any path): that it is there, and on it a file written, synced, read back and removed',
  options,
  phases,
  gauges,
  codes: MOUNT_CODES,
  levels: {
    used_ratio: { gauge: 'probe_mount_used_ratio', worse: 'above' },
    files_used_ratio: { gauge: 'probe_mount_files_used_ratio', worse: 'above' },
  },
  schemes: ['mount'],
  fromUrl(url) {
    const { fstype, require_mount, ...rest } = Object.fromEntries(url.searchParams)
    return {
      ...rest,
      target: pathOfUrl(url),
      ...(fstype === undefined ? {} : { fstype: fstype.split(',') }),
      ...(require_mount === undefined ? {} : { require_mount: ['true', 'false'].includes(require_mount) ? require_mount === 'true' : require_mount }),
    }
  },
  example: { target: '/data', fstype: ['ceph', 'fuse.ceph-fuse'] },

  async run(options, probe) {
    const { path } = options.target
    const { signal, deadline, owner } = probe
    const began = performance.now()
    const { way, ms } = await probe.phase('mounted', () => mountsTo(path, probe))
    // Another mount on the same path is another place: an old one that hangs for ever says nothing of it.
    const disk = await probe.phase('mounted', () => openDisk(`${way.at(-1)?.id} ${owner}`, { signal, deadline, began }).catch((error: unknown) => { throw explained(error, 'stat', path, probe) }))
    try {
      const { readOnly } = await probe.phase('mounted', () => whatHolds(options, way, disk, probe))
      probe.took('mounted', ms + disk.spentMs())
      exportSpace(await step('statfs', disk, probe, () => ask(disk, probe, path, 'statfs', path)), probe)
      if (probe.mode === 'read-only') await look(options, disk, probe)
      else {
        probe.expect(!readOnly, 'mount_read_only', `${path} is mounted read-only`)
        await exercise(options, disk, probe)
      }
    } finally {
      disk.close()
    }
  },
})

/** The table of mounts, which can be had whatever hangs. */
async function mountsTo(path: string, probe: Context): Promise<{ way: Mount[], ms: number }> {
  const disk = await openDisk(undefined, probe).catch((error: unknown) => { throw explained(error, 'mounts', path, probe) })
  try {
    return { way: await ask(disk, probe, path, 'mounts', path), ms: disk.spentMs() }
  } finally {
    disk.close()
  }
}

/** What is mounted on the path, once it is what was expected and its root answers. */
async function whatHolds({ target: { path }, fstype, device, require_mount }: Options, way: readonly Mount[], disk: Disk, probe: Context): Promise<Mount> {
  const below = way.slice(0, -1).findLast(({ point }) => point !== '/' && point !== path)
  const where = below ? `${path} (below ${below.point}, ${below.fstype})` : path
  let held = way.at(-1)
  let real = path
  if (held?.point !== path) {
    real = await ask(disk, probe, where, 'realpath', path)
    held = (await ask(disk, probe, where, 'mounts', real)).at(-1)
  }
  if (held?.fstype === 'autofs') {
    // It mounts what somebody looks into, and stat(2) does not.
    await ask(disk, probe, where, 'list', real, 1)
    held = (await ask(disk, probe, where, 'mounts', real)).at(-1)
  }
  if (!held || held.fstype === 'autofs' || (require_mount && held.point !== real)) {
    const link = real === path ? '' : `leads to ${real}, which `
    return probe.fail('mount_not_mounted', `${path} ${link}is no mount point${held ? ` and lies on ${described(held)}` : ''}`)
  }
  probe.gauge('probe_mount_info', 1, { fstype: held.fstype, device: shown(held.source) })
  probe.gauge('probe_mount_readonly', Number(held.readOnly))
  const types = fstype === undefined ? undefined : [fstype].flat()
  probe.expect(types?.includes(held.fstype) ?? true, 'mount_wrong_type', `expected ${types?.join(' or ')}, found ${described(held)}`)
  probe.expect(device === undefined || device === held.source, 'mount_wrong_device', `expected ${shown(device ?? '')}, found ${described(held)}`)
  const { kind } = await ask(disk, probe, where, 'stat', path).catch((error: unknown) => {
    if (/ceph/.test(held.fstype) && error instanceof ProbeFailure && error.code === 'mount_root_gone') return probe.fail('mount_blocklisted', error.message)
    throw error
  })
  // The table of mounts does not tell files from directories: discovery may name one.
  probe.expect(kind === 'directory' || held.point !== real, 'mount_single_file', `${path} is a ${kind} of ${described(held)}`)
  probe.expect(kind === 'directory', 'mount_not_directory', `${path} is a ${kind}`)
  return held
}

async function look({ target: { path }, read_file, size }: Options, disk: Disk, probe: Context): Promise<void> {
  await step('read', disk, probe, async () => {
    await ask(disk, probe, path, 'list', path, MOST_NAMES)
    await readKnown(path, read_file, size, disk, probe)
  })
}

async function exercise({ target: { path }, file, size, read_file }: Options, disk: Disk, probe: Context): Promise<void> {
  const own = posix.join(path, file ?? `.curlew-probe-${createHash('sha256').update(probe.owner).digest('hex').slice(0, 12)}`)
  const text = `${MARK}${randomUUID()}\n`
  await step('write', disk, probe, () => ask(disk, probe, own, 'write', own, text, size, MARK))
  try {
    await step('fsync', disk, probe, () => ask(disk, probe, own, 'fsync'))
    await step('read', disk, probe, async () => {
      const { differs } = await ask(disk, probe, own, 'compare', own, text, size)
      probe.expect(differs === undefined, 'mount_wrong_value', `${own}: ${differs}`)
      await readKnown(path, read_file, size, disk, probe)
    })
  } catch (error) {
    // What went wrong is known; where a call hangs this is refused.
    await disk.call('unlink', own).catch(() => {})
    throw error
  }
  await step('unlink', disk, probe, () => ask(disk, probe, own, 'unlink', own))
}

async function readKnown(path: string, file: string | undefined, size: number, disk: Disk, probe: Context): Promise<void> {
  if (file === undefined) return
  const known = posix.join(path, file)
  await ask(disk, probe, known, 'read', known, size)
}

/** A phase that lasts as long as its calls did in the worker: what is between us and the worker is none of the mount's. */
async function step<T>(phase: Phase, disk: Disk, probe: Context, work: () => Promise<T>): Promise<T> {
  const before = disk.spentMs()
  const value = await probe.phase(phase, work)
  probe.took(phase, disk.spentMs() - before)
  return value
}

async function ask<C extends keyof DiskCalls>(disk: Disk, probe: Context, where: string, call: C, ...args: Parameters<DiskCalls[C]>): Promise<ReturnType<DiskCalls[C]>> {
  try {
    return await disk.call(call, ...args)
  } catch (error) {
    throw explained(error, call, where, probe)
  }
}

function explained(error: unknown, call: keyof DiskCalls, where: string, probe: Context): unknown {
  if (error instanceof DiskHung) probe.gauge('probe_mount_stuck_seconds', error.sinceMs / 1000)
  return mountFailure(error, call, where)
}

/** A size of 0 is what Ceph tells without a manager, and more free inodes than there are is its way to say that it counts none. */
function exportSpace({ size, free, available, files, filesFree }: Space, probe: Context): void {
  probe.gauge('probe_mount_size_bytes', size)
  probe.gauge('probe_mount_available_bytes', available)
  const used = size - free
  if (used + available > 0) probe.gauge('probe_mount_used_ratio', used / (used + available))
  if (files === 0 || filesFree > files) return
  probe.gauge('probe_mount_files', files)
  probe.gauge('probe_mount_files_free', filesFree)
  probe.gauge('probe_mount_files_used_ratio', 1 - filesFree / files)
}

function described({ point, fstype, source }: Mount): string {
  return `${point} (${fstype} on ${shown(source)})`
}

/** WebDAV and the like are mounted by URL, which may hold a login. */
function shown(source: string): string {
  return source.replace(/\/\/[^/@]*@/, '//').slice(0, LONGEST_DEVICE)
}
