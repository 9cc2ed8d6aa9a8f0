import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { runCurlew } from '../support/curlew.ts'
import { mountFaulty, unmountBelow, type Faults, type FaultyMount } from '../support/fuse.ts'
import { startProcess, temporaryDirectory, type Running } from '../support/process.ts'
import { tcpServer, type TestServer } from '../support/tcp.ts'
import { checkAll, ownRows, tally } from './own-row.ts'
import { failed, faultTable, ok, type Entry, type Expected, type Fault, type Trial } from './table.ts'

const AUTOFS = join(import.meta.dirname, '..', 'support', 'autofs.py')
const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
const PAGE = 4096

const home = temporaryDirectory()
// For nobody, who must get to what is mounted there.
chmodSync(home.path, 0o711)
let mounts: FaultyMount[] = []
let automount: Running | undefined
const servers: TestServer[] = []

beforeAll(async () => {
  mounts = await Promise.all(Array.from({ length: 4 }, () => mountFaulty()))
  servers.push(...await Promise.all(Array.from({ length: 30 }, () => tcpServer())))
})
afterAll(async () => {
  await automount?.stop('SIGKILL')
  await Promise.all([...mounts.map((mount) => mount.stop()), ...servers.map((server) => server.close())])
  unmountBelow(home.path)
  home.remove()
})

const entry = (target: string, more: Entry = {}): Entry => ({ type: 'mount', target, ...more })

/** A file system that does as it is told. */
function scripted(fault: string, faults: Faults, expected: Expected, more: Entry = {}): Fault {
  const make = (): Trial => {
    const { path, suffer } = mounts[0]!
    suffer(faults)
    return { probe: entry(path, more) }
  }
  return { fault, make, expected, undo: () => mounts[0]!.suffer() }
}

function point(name: string): string {
  const path = join(home.path, name)
  mkdirSync(path)
  return path
}

/** A file system of the kernel, in memory. */
function tmpfs(name: string, options: string, fill = 0): string {
  const path = point(name)
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'curlew', path])
  if (fill > 0) writeFileSync(join(path, 'data'), Buffer.alloc(fill * PAGE))
  return path
}

/** Looks while everything hangs, and lets it go on. */
async function hangForAWhile({ path, suffer }: FaultyMount): Promise<void> {
  suffer({ '*': { hang: true } })
  const { code, stdout } = await runCurlew(['check', `mount://${path}`, '--timeout', '1500ms'])
  suffer()
  if (code !== 1) throw new Error(`it did not hang: ${stdout}`)
}

const undo = () => unmountBelow(home.path)

describe('mount', () => {
  faultTable('mount', [
    { fault: 'nothing is mounted there', make: () => ({ probe: entry(point('bare')) }), expected: failed('connect', 'not_found', 'mount_not_mounted') },
    { fault: 'the path does not exist', make: () => ({ probe: entry(join(home.path, 'nowhere')) }), expected: failed('connect', 'not_found', 'mount_not_mounted') },
    scripted('a file system of another type is mounted', {}, failed('connect', 'not_found', 'mount_wrong_type'), { fstype: ['ceph', 'nfs4'] }),
    scripted('another volume is mounted', {}, failed('connect', 'not_found', 'mount_wrong_device'), { device: 'storage:/export' }),
    {
      fault: 'the automounter cannot mount it',
      make: async () => {
        const path = point('autofs')
        automount = await startProcess('/usr/bin/python3', [AUTOFS, path, 'fail'], { ready: (output) => output.includes('ready') })
        return { probe: entry(path) }
      },
      expected: failed('connect', 'not_found', 'mount_not_mounted'),
      undo: () => automount?.stop('SIGKILL'),
    },
    { fault: 'it is mounted read-only', make: () => ({ probe: entry(tmpfs('ro', 'ro')) }), expected: failed('request', 'read_only', 'mount_read_only', { probe_mount_readonly: 1 }), undo },
    scripted('it has turned read-only behind the table of mounts (EROFS)', { create: { errno: 'EROFS' } }, failed('request', 'read_only', 'mount_read_only', { probe_mount_readonly: 0 })),
    { fault: 'its space is used up', make: () => ({ probe: entry(tmpfs('full', 'size=16k', 4)) }), expected: failed('request', 'full', 'mount_full', { probe_mount_available_bytes: 0 }), undo },
    { fault: 'its inodes are used up', make: () => ({ probe: entry(tmpfs('inodes', 'nr_inodes=2', 1)) }), expected: failed('request', 'full', 'mount_full', { probe_mount_files_free: 0 }), undo },
    scripted('a quota is used up (EDQUOT)', { write: { errno: 'EDQUOT' } }, failed('request', 'full', 'mount_quota')),
    scripted('space turns out to be used up at fsync (ENOSPC)', { fsync: { errno: 'ENOSPC' } }, failed('request', 'full', 'mount_full_at_sync')),
    { fault: 'our user may not write', make: () => ({ probe: `mount://${tmpfs('denied', 'mode=755')}`, wrap: NOBODY }), expected: failed('request', 'denied', 'mount_denied'), undo },
    scripted('it hangs in everything', { '*': { hang: true } }, failed('request', 'hung', 'mount_hung', { probe_mount_stuck_seconds: [0.9, 2] })),
    scripted('it hangs in fsync alone', { fsync: { hang: true } }, failed('request', 'hung', 'mount_hung', { probe_mount_stuck_seconds: [0.9, 2], probe_mount_readonly: 0 })),
    { fault: 'it hung, and does no more', make: async () => { await hangForAWhile(mounts[0]!); return { probe: entry(mounts[0]!.path) } }, expected: ok(), undo: () => mounts[0]!.suffer() },
    scripted('two slow calls use up the time, none hangs', { statfs: { delay_ms: 1_100 }, fsync: { delay_ms: 1_100 } }, failed('request', 'timeout', 'request_timeout')),
    { fault: 'the process that serves it has died', make: async () => { await mounts[3]!.server.stop('SIGKILL'); return { probe: entry(mounts[3]!.path) } }, expected: failed('connect', 'stale', 'mount_disconnected'), undo: async () => { await mounts[3]!.stop(); mounts[3] = await mountFaulty() } },
    scripted('it was shut down (ESHUTDOWN)', { create: { errno: 'ESHUTDOWN' } }, failed('connect', 'stale', 'mount_shut_down')),
    scripted('its server knows it no more (ESTALE)', { getattr: { errno: 'ESTALE' } }, failed('connect', 'stale', 'mount_stale')),
    {
      fault: 'its root directory was deleted',
      make: () => {
        const [source, target] = [point('source'), point('bound')]
        execFileSync('mount', ['--bind', source, target])
        rmdirSync(source)
        return { probe: entry(target) }
      },
      expected: failed('connect', 'stale', 'mount_root_gone'), undo,
    },
    scripted('a soft mount gave up waiting (ETIMEDOUT)', { fsync: { errno: 'ETIMEDOUT' } }, failed('request', 'timeout', 'mount_gave_up')),
    scripted('the disk below has errors (EIO)', { fsync: { errno: 'EIO' } }, failed('request', 'other', 'mount_io_error')),
    scripted('an error that nobody has met before', { fsync: { errno: 'EXDEV' } }, failed('request', 'other', 'mount_other')),
    scripted('it returns something else than was written', { read: { wrong: true } }, failed('assert', 'mismatch', 'mount_wrong_value')),
    { fault: 'little space is left', make: () => ({ probe: entry(tmpfs('little', 'size=64k', 14)) }), expected: ok({ probe_mount_used_ratio: 0.875, probe_mount_available_bytes: 2 * PAGE }), undo },
    { fault: 'little space is left, and fail_on names that', make: () => ({ probe: entry(tmpfs('limited', 'size=64k', 14), { limits: { used_ratio: { critical: 0.8 } }, fail_on: ['used_ratio'] }) }), expected: failed('assert', 'mismatch', 'limit_exceeded'), undo },
  ])

  ownRows('mount', [{
    fault: 'four hang at once, beside thirty other targets',
    expected: '30 ok, 4 failed request/hung mount_hung',
    async look() {
      for (const { suffer } of mounts) suffer({ '*': { hang: true } })
      return tally(await checkAll([
        { name: 'storage', type: 'mount', timeout: '2s', targets: mounts.map(({ path }) => path) },
        { name: 'ports', type: 'tcp', timeout: '500ms', targets: servers.map(({ port }) => `127.0.0.1:${port}`) },
      ]))
    },
    undo: () => { for (const { suffer } of mounts) suffer() },
  }])
})
