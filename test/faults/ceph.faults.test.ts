import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { z } from 'zod'
import { startCeph, type Ceph } from '../support/ceph.ts'
import { processesOn } from '../support/children.ts'
import { eventually } from '../support/process.ts'
import { failed, faultTable, ok, type Entry, type Fault, type Trial } from './table.ts'

const sessions = z.array(z.object({ id: z.number(), client_metadata: z.object({ mount_point: z.string() }) }))
const pools = z.array(z.object({ pool_name: z.string(), flags_names: z.string() }))
const FULL_RATIOS = { nearfull: 0.85, backfillfull: 0.9, full: 0.95 }
/** What dd says. */
const [FULL, WRITTEN] = [/error writing .*: No space left/, /^written$/]

let ceph: Ceph
let readOnly: string
beforeAll(async () => {
  ceph = await startCeph()
  // What a quota of the pool and a full cluster count.
  writeFileSync(join(ceph.path, 'data'), Buffer.alloc(64 * 1024))
  ;[readOnly] = await Promise.all([ceph.mountReadOnly(), ceph.startManager()])
}, 60_000)
afterAll(() => ceph.stop())

const probe = (more: Entry = {}): Trial => ({ probe: { type: 'mount', target: ceph.path, fstype: 'fuse.ceph-fuse', timeout: '2s', ...more } })

/** A directory with a quota that leaves no room for a file. */
async function limited(name: string, value: string): Promise<Trial> {
  const target = join(ceph.path, name)
  mkdirSync(target)
  await ceph.attribute(target, name, value)
  return probe({ target, require_mount: false })
}

/** A daemon that stands still, and goes on when the row is over. */
function still(fault: string, daemon: 'osd' | 'mds'): Fault {
  return {
    fault,
    make: () => { ceph[daemon].child.kill('SIGSTOP'); return probe() },
    expected: failed('request', 'hung', 'mount_hung', { probe_mount_stuck_seconds: [0.9, 2] }),
    async undo() {
      ceph[daemon].child.kill('SIGCONT')
      await eventually(() => processesOn(ceph.path).length === 0, 10_000, 'the end of the process that hung')
    },
  }
}

async function setFullRatios(scale: number): Promise<void> {
  await ceph.commands(Object.entries(FULL_RATIOS).map(([name, ratio]) => `osd set-${name}-ratio ${ratio * scale}`))
}

/** What the monitor says; the client hears of it only with its next write. */
async function poolIsFull(): Promise<void> {
  await eventually(async () => {
    const list = pools.parse(JSON.parse(await ceph.command('osd', 'pool', 'ls', 'detail', '-f', 'json')))
    return list.some(({ pool_name, flags_names }) => pool_name === 'data' && flags_names.split(',').includes('full'))
  }, 15_000, 'a pool that is full')
}

/** Writes, as others do, until it goes so. */
async function writingSays(wanted: RegExp): Promise<void> {
  await eventually(async () => {
    const said = await new Promise<string>((resolve) => {
      execFile('dd', ['if=/dev/zero', `of=${join(ceph.path, 'more')}`, 'bs=4k', 'count=1', 'conv=fsync'], { timeout: 5_000, env: { LC_ALL: 'C' } }, (error, _stdout, stderr) => resolve(error ? stderr : 'written'))
    })
    return wanted.test(said)
  }, 15_000, `that writing says ${String(wanted)}`)
}

// In this order: the last ones cannot be undone.
describe('ceph', () => {
  faultTable('ceph', [
    { fault: "a directory's quota of bytes is used up", make: () => limited('ceph.quota.max_bytes', '1000'), expected: failed('request', 'full', 'mount_quota') },
    { fault: "a directory's quota of files is used up", make: () => limited('ceph.quota.max_files', '1'), expected: failed('request', 'full', 'mount_quota') },
    { fault: 'it is mounted read-only', make: () => probe({ target: readOnly }), expected: failed('request', 'read_only', 'mount_read_only', { probe_mount_readonly: 1 }) },
    still('an OSD stands still', 'osd'),
    still('the MDS stands still', 'mds'),
    { fault: 'both go on again', make: () => probe(), expected: ok() },
    {
      fault: "the pool's quota is used up, the client has not heard it",
      like: 'a full cluster',
      make: async () => {
        await ceph.command('osd', 'pool', 'set-quota', 'data', 'max_bytes', '1000')
        await poolIsFull()
        return probe()
      },
      expected: failed('request', 'full', 'mount_full_at_sync'),
    },
    {
      fault: "the pool's quota is used up, the client has heard it",
      like: 'a full cluster',
      make: async () => { await writingSays(FULL); return probe() },
      expected: failed('request', 'full', 'mount_full'),
      async undo() {
        await ceph.command('osd', 'pool', 'set-quota', 'data', 'max_bytes', '0')
        await writingSays(WRITTEN)
      },
    },
    {
      fault: 'the cluster is full',
      make: async () => { await setFullRatios(1e-6); await writingSays(FULL); return probe() },
      expected: failed('request', 'full', 'mount_full', { probe_mount_available_bytes: 0 }),
      async undo() { await setFullRatios(1); await writingSays(WRITTEN) },
    },
    {
      fault: 'its client was evicted',
      make: async () => {
        const list = sessions.parse(JSON.parse(await ceph.command('daemon', 'mds.a', 'session', 'ls')))
        const mine = list.find(({ client_metadata }) => client_metadata.mount_point === ceph.path)
        await ceph.command('daemon', 'mds.a', 'session', 'evict', `id=${mine?.id}`)
        return probe()
      },
      expected: failed('connect', 'stale', 'mount_blocklisted'),
    },
    { fault: 'its only monitor is dead', make: async () => { await ceph.monitor.stop('SIGKILL'); return probe({ target: readOnly, mode: 'read-only' }) }, expected: failed('request', 'hung', 'mount_hung') },
  ])
})
