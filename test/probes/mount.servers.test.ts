import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { stuckChildren } from '../../src/children.ts'
import { openDisk } from '../../src/probes/lib/disk.ts'
import { mount } from '../../src/probes/mount.ts'
import { childrenOf } from '../support/children.ts'
import { mountFaulty, unmount, unmountBelow, type FaultyMount, type Faults } from '../support/fuse.ts'
import { eventually, startProcess, temporaryDirectory } from '../support/process.ts'
import { gaugeOf, probeOnce } from './contract.ts'

const AUTOFS = join(import.meta.dirname, '..', 'support', 'autofs.py')
/** The number of the system call, as /proc shows it. */
const FSYNC = process.arch === 'x64' ? '74 ' : '82 '
const home = temporaryDirectory()
let faulty: FaultyMount
let ceph: FaultyMount
beforeAll(async () => {
  [faulty, ceph] = await Promise.all([mountFaulty(), mountFaulty({ subtype: 'ceph-fuse' })])
  // The first run starts a worker.
  await probeOnce(mount, { target: faulty.path })
})
beforeEach(() => faulty.suffer())
afterAll(async () => {
  await Promise.all([faulty.stop(), ceph.stop()])
  home.remove()
})

const probe = (entry: Record<string, unknown> = {}, signal?: AbortSignal) => probeOnce(mount, { target: faulty.path, ...entry }, signal)
const failed = (layer: string, reason: string, code: string) => ({ status: 'failed', failure: { layer, reason, code } })
const names = () => readdirSync(faulty.path).sort()
const workers = () => childrenOf(process.pid).filter(({ command }) => command.includes('disk-worker'))

describe('a mount', () => {
  it('is measured in six phases and left as it was', async () => {
    const result = await probe({ fstype: 'fuse.faulty', device: 'faulty', read_file: 'known' })
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.phases.map(({ name }) => name)).toEqual(['mounted', 'statfs', 'write', 'fsync', 'read', 'unlink'])
    expect(names()).toEqual(['known', 'sub'])
    const values = { size_bytes: 25_600 * 4096, available_bytes: 10_240 * 4096, used_ratio: 12_800 / (12_800 + 10_240), files: 1000, files_free: 900, readonly: 0 }
    for (const [name, value] of Object.entries(values)) expect(gaugeOf(result, `probe_mount_${name}`)).toBeCloseTo(value)
    expect(gaugeOf(result, 'probe_mount_files_used_ratio')).toBeCloseTo(0.1)
    expect(gaugeOf(result, 'probe_mount_stuck_seconds')).toBeUndefined()
  })

  it('tells how long the disk took, and not how long we did', async () => {
    faulty.suffer({ fsync: { delay_ms: 120 } })
    const { phases } = await probe()
    const fsync = phases.find(({ name }) => name === 'fsync')!
    expect(fsync.ms).toBeGreaterThan(115)
    expect(fsync.ms).toBeLessThan(1_000)
  })

  it.each<[string, Faults, Record<string, number | undefined>]>([
    ['no size', { statfs: { answer: { f_blocks: 0, f_bfree: 0, f_bavail: 0 } } }, { size_bytes: 0, available_bytes: 0, used_ratio: undefined }],
    ['no inodes', { statfs: { answer: { f_files: 0, f_ffree: 0 } } }, { files: undefined, files_free: undefined, files_used_ratio: undefined }],
    ['more free inodes than inodes', { statfs: { answer: { f_files: 7, f_ffree: 2 ** 52 } } }, { files: undefined }],
    ['nothing free', { statfs: { answer: { f_bfree: 0, f_bavail: 0, f_ffree: 0 } } }, { used_ratio: 1, files_used_ratio: 1 }],
  ])('may tell %s', async (_what, faults, values) => {
    faulty.suffer(faults)
    const result = await probe()
    expect(result.status).toBe('ok')
    for (const [name, value] of Object.entries(values)) expect(gaugeOf(result, `probe_mount_${name}`), name).toBe(value)
  })

  it('may write in small pieces', async () => {
    faulty.suffer({ write: { most: 1000 } })
    expect(await probe({ size: '10KB' })).toMatchObject({ status: 'ok' })
  })

  it.each<[string, Faults, string, string, string, string]>([
    ['its server is gone', { getattr: { errno: 'ENOTCONN' } }, 'connect', 'stale', 'mount_disconnected', 'mounted'],
    ['it was shut down', { create: { errno: 'ESHUTDOWN' } }, 'connect', 'stale', 'mount_shut_down', 'write'],
    ['the server does not know it any more', { getattr: { errno: 'ESTALE' } }, 'connect', 'stale', 'mount_stale', 'mounted'],
    ['its root is gone', { getattr: { errno: 'ENOENT' } }, 'connect', 'stale', 'mount_root_gone', 'mounted'],
    ['its space cannot be asked for', { statfs: { errno: 'EIO' } }, 'request', 'other', 'mount_io_error', 'statfs'],
    ['it turned read-only', { create: { errno: 'EROFS' } }, 'request', 'read_only', 'mount_read_only', 'write'],
    ['nobody may write', { create: { errno: 'EACCES' } }, 'request', 'denied', 'mount_denied', 'write'],
    ['inodes are used up', { create: { errno: 'ENOSPC' } }, 'request', 'full', 'mount_full', 'write'],
    ['space is used up', { write: { errno: 'ENOSPC' } }, 'request', 'full', 'mount_full', 'write'],
    ['a quota is used up', { write: { errno: 'EDQUOT' } }, 'request', 'full', 'mount_quota', 'write'],
    ['space turns out to be used up', { fsync: { errno: 'ENOSPC' } }, 'request', 'full', 'mount_full_at_sync', 'fsync'],
    ['a quota turns out to be used up when the file is closed', { flush: { errno: 'EDQUOT' } }, 'request', 'full', 'mount_quota', 'fsync'],
    ['the disk is broken', { fsync: { errno: 'EIO' } }, 'request', 'other', 'mount_io_error', 'fsync'],
    ['the file system is damaged', { write: { errno: 117 } }, 'request', 'other', 'mount_damaged', 'write'],
    ['a soft mount gave up', { fsync: { errno: 'ETIMEDOUT' } }, 'request', 'timeout', 'mount_gave_up', 'fsync'],
    ['it cannot be read', { read: { errno: 'EIO' } }, 'request', 'other', 'mount_io_error', 'read'],
    ['it returns something else', { read: { wrong: true } }, 'assert', 'mismatch', 'mount_wrong_value', 'read'],
    ['nothing may be removed', { unlink: { errno: 'EPERM' } }, 'request', 'denied', 'mount_denied', 'unlink'],
    ['it has an error that nobody knows', { fsync: { errno: 'EXDEV' } }, 'request', 'other', 'mount_other', 'fsync'],
  ])('fails when %s', async (_what, faults, layer, reason, code, phase) => {
    faulty.suffer(faults)
    const result = await probe()
    expect(result).toMatchObject(failed(layer, reason, code))
    expect(result.phases.at(-1)?.name).toBe(phase)
    faulty.suffer()
    // Whatever failed, the file does not stay, unless it is the removal that fails.
    if (phase !== 'unlink') expect(names()).toEqual(['known', 'sub'])
    expect(await probe()).toMatchObject({ status: 'ok' })
    expect(names()).toEqual(['known', 'sub'])
  })

  it('of Ceph whose root is gone is a client on the blocklist', async () => {
    ceph.suffer({ getattr: { errno: 'ENOENT' } })
    expect(await probe({ target: ceph.path })).toMatchObject(failed('connect', 'stale', 'mount_blocklisted'))
  })

  it('is not written to in read-only mode', async () => {
    faulty.suffer({ create: { errno: 'EIO' }, write: { errno: 'EIO' }, unlink: { errno: 'EIO' }, fsync: { errno: 'EIO' }, truncate: { errno: 'EIO' } })
    expect(await probe({ mode: 'read-only', read_file: 'known' })).toMatchObject({ status: 'ok' })
    faulty.suffer({ readdir: { errno: 'EIO' } })
    expect(await probe({ mode: 'read-only' })).toMatchObject(failed('request', 'other', 'mount_io_error'))
    faulty.suffer({ read: { errno: 'EIO' } })
    expect(await probe({ mode: 'read-only', read_file: 'known' })).toMatchObject(failed('request', 'other', 'mount_io_error'))
  })

  it('whose server dies says so, though it is still listed', async () => {
    const dying = await mountFaulty()
    await dying.server.stop('SIGKILL')
    expect(await probe({ target: dying.path })).toMatchObject(failed('connect', 'stale', 'mount_disconnected'))
    await dying.stop()
    expect(await probe({ target: dying.path })).toMatchObject(failed('connect', 'not_found', 'mount_not_mounted'))
  })
})

describe('a mount that hangs', () => {
  const HANG = { timeout: '800ms' }

  it.each<[string, string, string, RegExp]>([
    ['getattr', 'mounted', 'stat', /: stat has not come back for \d\.\d s$/],
    ['statfs', 'statfs', 'statfs', /: statfs has not come back for \d\.\d s$/],
    ['create', 'write', 'write', /canary: write has not come back for \d\.\d s$/],
    ['fsync', 'fsync', 'fsync', /canary: fsync has not come back for \d\.\d s$/],
    ['unlink', 'unlink', 'unlink', /canary: unlink has not come back for \d\.\d s$/],
  ])('in %s is told by its phase, at once from then on, and is well when it is well', async (operation, phase, call, message) => {
    faulty.suffer({ [operation]: { hang: true } })
    const first = await probe({ ...HANG, file: 'canary' })
    expect(first).toMatchObject({ ...failed('request', 'hung', 'mount_hung'), failure: { message: expect.stringMatching(message) } })
    expect(first.phases.at(-1)?.name).toBe(phase)
    expect(stuckChildren()).toBe(1)

    const before = workers().length
    const since = performance.now()
    for (let run = 0; run < 5; run++) {
      const again = await probe({ ...HANG, file: 'canary' })
      expect(again).toMatchObject({ ...failed('request', 'hung', 'mount_hung'), failure: { message: expect.stringMatching(`${call} has not come back for`) } })
      expect(gaugeOf(again, 'probe_mount_stuck_seconds')).toBeGreaterThan(0.5)
    }
    // Five that wait to the end take four seconds.
    expect(performance.now() - since).toBeLessThan(3_000)
    expect(workers().length).toBeLessThanOrEqual(before + 1)

    faulty.suffer()
    await eventually(() => stuckChildren() === 0)
    expect(await probe({ file: 'canary' })).toMatchObject({ status: 'ok' })
    expect(names()).toEqual(['known', 'sub'])
    // A worker that came back holds nothing open there.
    expect(workers().flatMap(({ files }) => files).filter((file) => file.startsWith(faulty.path))).toEqual([])
  })

  it('is another place once something else is mounted over it', async () => {
    faulty.suffer({ statfs: { hang: true } })
    expect(await probe(HANG)).toMatchObject(failed('request', 'hung', 'mount_hung'))
    execFileSync('mount', ['-t', 'tmpfs', 'curlew', faulty.path])
    expect(await probe({ fstype: 'tmpfs' })).toMatchObject({ status: 'ok' })
    expect(stuckChildren()).toBe(1)
    unmount(faulty.path)
    expect(await probe()).toMatchObject(failed('request', 'hung', 'mount_hung'))
    faulty.suffer()
    await eventually(() => stuckChildren() === 0)
  })

  it('is named where it lies on the way', async () => {
    const sub = join(faulty.path, 'sub')
    execFileSync('mount', ['-t', 'tmpfs', 'curlew', sub])
    try {
      expect(await probe({ target: sub, fstype: 'tmpfs' })).toMatchObject({ status: 'ok' })
      faulty.suffer({ getattr: { hang: true } })
      expect(await probe({ ...HANG, target: sub })).toMatchObject({ ...failed('request', 'hung', 'mount_hung'), failure: { message: expect.stringContaining(`/sub (below ${faulty.path}, fuse.faulty): stat has not`) } })
    } finally {
      faulty.suffer()
      unmount(sub)
    }
    await eventually(() => stuckChildren() === 0)
  })

  it('accuses nobody when the run is stopped, and counts only what does not come back', async () => {
    faulty.suffer({ fsync: { hang: true } })
    const stop = new AbortController()
    const running = probe({}, stop.signal)
    // Stopped while it still wrote, it would close the file and hang in nothing.
    await eventually(() => workers().some(({ pid }) => readFileSync(`/proc/${pid}/syscall`, 'latin1').startsWith(FSYNC)), 2_000, 'a worker in fsync')
    stop.abort()
    expect(await running).toMatchObject({ status: 'unknown', failure: { code: 'prober_aborted' } })
    expect(stuckChildren()).toBe(0)
    await eventually(() => stuckChildren() === 1)
    expect(await probe()).toMatchObject(failed('request', 'hung', 'mount_hung'))
    faulty.suffer()
    await eventually(() => stuckChildren() === 0)
    expect(await probe()).toMatchObject({ status: 'ok' })
  })
})

it('a mount that is slow in all it does is not called hung', async () => {
  faulty.suffer({ statfs: { delay_ms: 600 }, fsync: { delay_ms: 500 } })
  const result = await probe({ timeout: '1s' })
  expect(result).toMatchObject(failed('request', 'timeout', 'request_timeout'))
  expect(gaugeOf(result, 'probe_mount_stuck_seconds')).toBeUndefined()
  faulty.suffer()
  await eventually(() => stuckChildren() === 0)
  expect(await probe()).toMatchObject({ status: 'ok' })
  expect(names()).toEqual(['known', 'sub'])
})

it('a call that came back while we were late does not hang', async () => {
  const disk = await openDisk('late', { signal: new AbortController().signal, deadline: performance.now() + 400 })
  faulty.suffer({ statfs: { delay_ms: 100 } })
  const call = disk.call('statfs', faulty.path)
  for (const start = performance.now(); performance.now() - start < 450;) Math.sqrt(2)
  await expect(call).resolves.toMatchObject({ files: 1000 })
  disk.close()
})

it('a call that had little of the time, since the worker came late, is not called hung', async () => {
  const disk = await openDisk('behind', { signal: new AbortController().signal, deadline: performance.now() + 400, began: performance.now() - 600 })
  faulty.suffer({ statfs: { delay_ms: 700 } })
  await expect(disk.call('statfs', faulty.path)).rejects.toMatchObject({ code: 'prober_starved', message: expect.stringMatching(/^the helper process came 6\d\d ms late, and statfs has not come back for 3\d\d ms$/) })
  disk.close()
  expect(stuckChildren()).toBe(0)
})

describe('what only the kernel can make', () => {
  const point = (name: string) => {
    const path = join(home.path, name)
    mkdirSync(path)
    return path
  }
  afterEach(() => unmountBelow(home.path))

  it('a read-only mount fails before anything is written, and is well in read-only mode', async () => {
    const target = point('ro')
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'curlew', target])
    const result = await probe({ target })
    expect(result).toMatchObject({ ...failed('request', 'read_only', 'mount_read_only'), failure: { message: `${target} is mounted read-only` } })
    expect(gaugeOf(result, 'probe_mount_readonly')).toBe(1)
    expect(gaugeOf(result, 'probe_mount_size_bytes')).toBeGreaterThan(0)
    const reading = await probe({ target, mode: 'read-only' })
    expect(reading).toMatchObject({ status: 'ok' })
    expect(gaugeOf(reading, 'probe_mount_readonly')).toBe(1)
  })

  it('a full one is full', async () => {
    const target = point('full')
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'curlew', target])
    expect(await probe({ target, size: '64KB' })).toMatchObject(failed('request', 'full', 'mount_full'))
    expect(readdirSync(target)).toEqual([])
    expect(await probe({ target })).toMatchObject({ status: 'ok' })
  })

  it('a single file that is mounted is a mistake of the config, or of our own look around', async () => {
    const [source, target] = [join(home.path, 'one'), join(home.path, 'onto')]
    for (const path of [source, target]) writeFileSync(path, '')
    execFileSync('mount', ['--bind', source, target])
    try {
      expect(await probe({ target, mode: 'read-only' })).toMatchObject({ status: 'unknown', failure: { layer: 'prober', reason: 'unsupported', code: 'mount_single_file' } })
    } finally {
      unmount(target)
    }
  })

  it('a bind mount is a mount, also behind a link; its directory can be deleted', async () => {
    const [source, target] = [point('source'), point('bound with space')]
    execFileSync('mount', ['--bind', source, target])
    symlinkSync(target, join(home.path, 'link'))
    expect(await probe({ target })).toMatchObject({ status: 'ok' })
    expect(await probe({ target: join(home.path, 'link') })).toMatchObject({ status: 'ok' })
    rmdirSync(source)
    expect(await probe({ target })).toMatchObject(failed('connect', 'stale', 'mount_root_gone'))
  })

  it.each([[[], { status: 'ok' }], [['fail'], failed('connect', 'not_found', 'mount_not_mounted')]])('autofs mounts what is looked into, and says so when it cannot %j', async (how, wanted) => {
    const target = point(`autofs${how.length}`)
    const daemon = await startProcess('/usr/bin/python3', [AUTOFS, target, ...how], { ready: (output) => output.includes('ready') })
    try {
      expect(await probe({ target, fstype: 'tmpfs' })).toMatchObject(wanted)
    } finally {
      await daemon.stop('SIGKILL')
    }
  })

  it('a directory of a mount is asked for the type of that', async () => {
    const target = join(faulty.path, 'sub')
    expect(await probe({ target })).toMatchObject(failed('connect', 'not_found', 'mount_not_mounted'))
    expect(await probe({ target, require_mount: false, fstype: 'ext4' })).toMatchObject(failed('connect', 'not_found', 'mount_wrong_type'))
    expect(await probe({ target, require_mount: false, fstype: 'fuse.faulty', mode: 'read-only' })).toMatchObject({ status: 'ok' })
  })
})
