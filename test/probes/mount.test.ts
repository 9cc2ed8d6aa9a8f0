import { linkSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { runJob } from '../../src/core/run.ts'
import { ProbeFailure } from '../../src/core/probe.ts'
import { mount } from '../../src/probes/mount.ts'
import { MOUNT_CODES, mountFailure, type MountCode } from '../../src/probes/lib/mount-codes.ts'
import { temporaryDirectory } from '../support/process.ts'
import { declarationContract, gaugeOf, jobOf, probeOnce } from './contract.ts'

declarationContract(mount)

const home = temporaryDirectory()
let tests = 0
let directory: string
beforeEach(() => {
  directory = join(home.path, String(++tests))
  mkdirSync(directory)
})
afterAll(() => home.remove())

const failed = (layer: string, reason: string, code: string, message: string | RegExp) =>
  ({ status: 'failed', failure: { layer, reason, code, message: typeof message === 'string' ? message : expect.stringMatching(message) } })
/** Any directory, whatever holds it. */
const anywhere = (entry: Record<string, unknown> = {}) => probeOnce(mount, { target: directory, require_mount: false, file: 'canary', ...entry })

describe('a directory', () => {
  it('is written to, synced, read back and left as it was', async () => {
    const result = await anywhere()
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.phases.map(({ name }) => name)).toEqual(['mounted', 'statfs', 'write', 'fsync', 'read', 'unlink'])
    // The start of a worker is no part of what the mount took.
    expect(Math.max(...result.phases.map(({ ms }) => ms))).toBeLessThan(result.ms)
    expect(readdirSync(directory)).toEqual([])
    const [size, available, ratio] = ['size_bytes', 'available_bytes', 'used_ratio'].map((name) => gaugeOf(result, `probe_mount_${name}`))
    expect(size).toBeGreaterThan(2 ** 20)
    expect(available).toBeLessThanOrEqual(size!)
    expect(ratio).toBeGreaterThanOrEqual(0)
    expect(ratio).toBeLessThanOrEqual(1)
    expect(gaugeOf(result, 'probe_mount_readonly')).toBe(0)
    expect(gaugeOf(result, 'probe_mount_info')).toBe(1)
  })

  it('is written as much as it was told', async () => {
    expect(await anywhere({ size: '1MB' })).toMatchObject({ status: 'ok' })
    expect(await anywhere({ size: '64B' })).toMatchObject({ status: 'ok' })
  })

  it('is not written to in read-only mode', async () => {
    const before = statSync(directory, { bigint: true }).mtimeNs
    const result = await anywhere({ mode: 'read-only' })
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.phases.map(({ name }) => name)).toEqual(['mounted', 'statfs', 'read'])
    expect(statSync(directory, { bigint: true }).mtimeNs).toBe(before)
  })

  it.each(['read-only', 'read-write'])('must have the known file: %s', async (mode) => {
    expect(await anywhere({ mode, read_file: 'known' })).toMatchObject(failed('request', 'not_found', 'mount_no_file', `open of ${directory}/known: ENOENT`))
    mkdirSync(join(directory, 'known'))
    expect(await anywhere({ mode, read_file: 'known' })).toMatchObject(failed('request', 'not_found', 'mount_no_file', /EINVAL|EISDIR/))
    writeFileSync(join(directory, 'other'), 'x'.repeat(100_000))
    expect(await anywhere({ mode, read_file: './other' })).toMatchObject({ status: 'ok' })
    expect(readdirSync(directory).sort()).toEqual(['known', 'other'])
  })

  it('that is not there is not mounted', async () => {
    const target = join(directory, 'nothing')
    expect(await anywhere({ target })).toMatchObject(failed('connect', 'not_found', 'mount_not_mounted', `${target} does not exist`))
  })

  it('must be one', async () => {
    writeFileSync(join(directory, 'file'), '')
    const target = join(directory, 'file')
    expect(await anywhere({ target })).toMatchObject(failed('connect', 'not_found', 'mount_not_directory', `${target} is a file`))
    expect(await anywhere({ target: join(target, 'x') })).toMatchObject(failed('connect', 'not_found', 'mount_not_directory', /: ENOTDIR$/))
    symlinkSync('loop', join(directory, 'loop'))
    expect(await anywhere({ target: join(directory, 'loop') })).toMatchObject(failed('connect', 'not_found', 'mount_not_mounted', /: ELOOP$/))
  })

  it('is no mount, which is what counts unless told otherwise', async () => {
    expect(await anywhere({ require_mount: true })).toMatchObject(failed('connect', 'not_found', 'mount_not_mounted', new RegExp(`^${directory} is no mount point and lies on /\\S* \\(\\S+ on \\S+\\)$`)))
    symlinkSync(directory, join(directory, 'link'))
    expect(await anywhere({ target: join(directory, 'link'), require_mount: true })).toMatchObject(failed('connect', 'not_found', 'mount_not_mounted', new RegExp(`link leads to ${directory}, which is no mount point`)))
    expect(readdirSync(directory)).toEqual(['link'])
  })
})

describe('the mount of /proc', () => {
  const proc = (entry: Record<string, unknown>) => probeOnce(mount, { target: '/proc', mode: 'read-only', ...entry })

  it('is one', async () => {
    const result = await proc({ fstype: 'proc', device: 'proc' })
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_mount_info', { fstype: 'proc', device: 'proc' })).toBe(1)
    // It has no size and counts no inodes.
    expect(result.gauges.map(({ name }) => name)).toEqual(['probe_mount_info', 'probe_mount_readonly', 'probe_mount_size_bytes', 'probe_mount_available_bytes'])
  })

  it('is reached by a link too', async () => {
    symlinkSync('/proc', join(directory, 'link'))
    expect(await proc({ target: join(directory, 'link'), fstype: ['nfs', 'proc'] })).toMatchObject({ status: 'ok' })
  })

  it('must be of the type and the device that are expected, and shows what it is', async () => {
    const result = await proc({ fstype: ['ceph', 'nfs4'] })
    expect(result).toMatchObject(failed('connect', 'not_found', 'mount_wrong_type', 'expected ceph or nfs4, found /proc (proc on proc)'))
    expect(gaugeOf(result, 'probe_mount_info', { fstype: 'proc' })).toBe(1)
    expect(await proc({ device: 'https://me:word@host/dav' })).toMatchObject(failed('connect', 'not_found', 'mount_wrong_device', 'expected https://host/dav, found /proc (proc on proc)'))
  })
})

describe('the file of the probe', () => {
  const file = () => join(directory, 'canary')

  it('has a fixed name of its own for each prober and target', async () => {
    // Nobody may write there, and the message says to what.
    const name = async (instance: string, target: string) => {
      const result = await runJob(jobOf(mount, { target }), { signal: new AbortController().signal, instance, lateSince: () => 0, lateBoundMs: 500 })
      return result.status === 'ok' ? undefined : /\/(\.curlew-probe-[0-9a-f]{12}): E/.exec(result.failure.message)?.[1]
    }
    const names = [await name('a', '/proc'), await name('b', '/proc'), await name('a', '/sys'), await name('a', '/proc')]
    expect(names[3]).toBe(names[0])
    expect(new Set(names).size).toBe(3)
    expect(names).not.toContain(undefined)
  })

  it.each([['left by a run that was killed', 'curlew-probe 0123'], ['left empty', ''], ['left by a machine that crashed', '\0'.repeat(4_000)]])('is replaced when it was %s', async (_what, text) => {
    writeFileSync(file(), text)
    expect(await anywhere()).toMatchObject({ status: 'ok' })
    expect(readdirSync(directory)).toEqual([])
  })

  it.each<[string, () => void]>([
    ['a file with other content', () => writeFileSync(file(), 'precious')],
    ['a longer file of zeros', () => writeFileSync(file(), Buffer.alloc(100_000))],
    ['a link to a file', () => { writeFileSync(join(directory, 'precious'), 'precious'); symlinkSync('precious', file()) }],
    ['a link to nothing', () => symlinkSync('nothing', file())],
    ['another name of a file', () => { writeFileSync(join(directory, 'precious'), 'precious'); linkSync(join(directory, 'precious'), file()) }],
    ['a directory', () => mkdirSync(file())],
  ])('is left alone when it is %s', async (_what, make) => {
    make()
    const before = readdirSync(directory)
    expect(await anywhere()).toMatchObject(failed('request', 'denied', 'mount_foreign_file', `open of ${file()}: EEXIST`))
    expect(readdirSync(directory)).toEqual(before)
    for (const name of before.filter((one) => one === 'precious')) expect(readFileSync(join(directory, name), 'utf8')).toBe('precious')
  })
})

describe('an error of the file system', () => {
  const errno = (code: string, syscall = 'stat') => Object.assign(new Error(`${code}: words, ${syscall} '/data'`), { code, syscall })
  const codeOf = (error: unknown) => (error instanceof ProbeFailure ? error.code : error)

  it.each<[string, MountCode, string]>([
    ['ENOTCONN', 'mount_disconnected', 'connect/stale'], ['ESHUTDOWN', 'mount_shut_down', 'connect/stale'], ['ESTALE', 'mount_stale', 'connect/stale'],
    ['ENOENT', 'mount_root_gone', 'connect/stale'], ['ENXIO', 'mount_device_gone', 'connect/stale'], ['ENODEV', 'mount_device_gone', 'connect/stale'],
    ['EHOSTDOWN', 'mount_unreachable', 'network/unreachable'], ['EHOSTUNREACH', 'mount_unreachable', 'network/unreachable'], ['ECONNREFUSED', 'mount_unreachable', 'network/unreachable'],
    ['ETIMEDOUT', 'mount_gave_up', 'request/timeout'], ['EROFS', 'mount_read_only', 'request/read_only'],
    ['ENOSPC', 'mount_full', 'request/full'], ['EDQUOT', 'mount_quota', 'request/full'],
    ['EACCES', 'mount_denied', 'request/denied'], ['EPERM', 'mount_denied', 'request/denied'], ['EKEYEXPIRED', 'mount_key_expired', 'request/denied'],
    ['EIO', 'mount_io_error', 'request/other'], ['EREMOTEIO', 'mount_io_error', 'request/other'], ['EUCLEAN', 'mount_damaged', 'request/other'], ['EBADMSG', 'mount_damaged', 'request/other'],
    ['ENOTSUP', 'mount_unsupported', 'request/unsupported'], ['ENOSYS', 'mount_unsupported', 'request/unsupported'],
    ['ENOTDIR', 'mount_not_directory', 'connect/not_found'], ['EBUSY', 'mount_other', 'request/other'], ['EINTR', 'mount_other', 'request/other'],
  ])('%s is %s, %s', (name, code, pair) => {
    expect(codeOf(mountFailure(errno(name), 'stat', '/data'))).toBe(code)
    expect(`${MOUNT_CODES[code].layer}/${MOUNT_CODES[code].reason}`).toBe(pair)
  })

  it('means something else in some calls', () => {
    expect(codeOf(mountFailure(errno('ENOSPC'), 'fsync', '/data'))).toBe('mount_full_at_sync')
    expect(codeOf(mountFailure(errno('EEXIST'), 'write', '/data'))).toBe('mount_foreign_file')
    expect(codeOf(mountFailure(errno('ENOENT'), 'compare', '/data'))).toBe('mount_wrong_value')
    expect(codeOf(mountFailure(errno('ENOENT'), 'unlink', '/data'))).toBe('mount_wrong_value')
  })

  it.each(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS'])('%s is ours', (name) => {
    const error = errno(name)
    expect(mountFailure(error, 'stat', '/data')).toBe(error)
  })

  it('of the kernel\'s own table is ours', () => {
    expect(codeOf(mountFailure(errno('ENOENT', 'open'), 'mounts', '/data'))).toBe('prober_denied')
  })

  it('names the call, the path, the error and who asked', () => {
    expect(mountFailure(errno('EACCES', 'open'), 'write', '/data/x')).toMatchObject({ message: `open of /data/x: EACCES for uid ${process.getuid!()}` })
  })

  it('that is new is counted', () => { expect(MOUNT_CODES.mount_other).toMatchObject({ unmapped: true }) })
})

describe('the options', () => {
  const target = (text: string, entry: Record<string, unknown> = {}) => jobOf(mount, { target: text, ...entry }).target

  it.each([['/data', '/data'], ['/data/', '/data'], ['//data//x/', '/data/x'], ['/', '/'], ['mount:///data', '/data'], ['mount:///my%20data/', '/my data'], ['MOUNT:///data/../data', '/data']])('%s is the path %s', (text, path) => {
    expect(target(text)).toBe(path)
  })

  it.each(['data', './data', '/data/../x', '/data/.', 'mount://data', 'mount://host/data', 'mount:///%zz', 'mount:///data%00', ''])('%j is none', (text) => {
    expect(() => target(text)).toThrow(/expected /)
  })

  it('come from a URL as well', () => {
    expect(() => target('mount:///data?fstype=ceph,nfs4&device=a:/&require_mount=false&size=64KB&read_file=x&file=y')).not.toThrow()
    expect(() => target('mount:///data?colour=red')).toThrow(/colour/)
    expect(() => target('mount:///data?require_mount=maybe')).toThrow(/require_mount/)
  })

  it.each([
    [{ file: 'a/b' }, /name of a file/], [{ file: '..' }, /name of a file/], [{ size: '2MB' }, /64B to 1MB/], [{ size: '1B' }, /64B to 1MB/],
    [{ read_file: '/etc/passwd' }, /below the target/], [{ read_file: 'a/../../b' }, /below the target/], [{ fstype: [] }, /fstype/],
  ])('%j is refused', (entry, message) => { expect(() => target('/data', entry)).toThrow(message) })
})
