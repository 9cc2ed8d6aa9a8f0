import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { stuckChildren } from '../../src/children.ts'
import { mount } from '../../src/probes/mount.ts'
import { startCeph, type Ceph } from '../support/ceph.ts'
import { eventually } from '../support/process.ts'
import { gaugeOf, probeOnce } from './contract.ts'

let ceph: Ceph
beforeAll(async () => { ceph = await startCeph() })
afterAll(() => ceph.stop())

const probe = (entry: Record<string, unknown> = {}) => probeOnce(mount, { target: ceph.path, fstype: 'fuse.ceph-fuse', timeout: '1500ms', ...entry })
const failed = (layer: string, reason: string, code: string) => ({ status: 'failed', failure: { layer, reason, code } })
const isWell = () => eventually(async () => (await probe()).status === 'ok', 10_000, 'a mount that is well')

// In this order: the last ones cannot be undone.
it('is well', async () => {
  const result = await probe({ device: 'ceph-fuse' })
  expect(result).toMatchObject({ status: 'ok' })
  expect(gaugeOf(result, 'probe_mount_info', { fstype: 'fuse.ceph-fuse', device: 'ceph-fuse' })).toBe(1)
  // It counts files, but not how many more there may be.
  expect(gaugeOf(result, 'probe_mount_files')).toBeUndefined()
  expect(await probe({ mode: 'read-only' })).toMatchObject({ status: 'ok' })
  expect(readdirSync(ceph.path)).toEqual([])
})

it.each(['osd', 'mds'] as const)('hangs when its %s stands still, and is well again by itself', async (daemon) => {
  ceph[daemon].child.kill('SIGSTOP')
  try {
    expect(await probe()).toMatchObject(failed('request', 'hung', 'mount_hung'))
    const again = await probe()
    expect(again).toMatchObject(failed('request', 'hung', 'mount_hung'))
    await eventually(async () => (await probe()).ms < 1_000, 8_000, 'an answer at once')
    expect(stuckChildren()).toBe(1)
  } finally {
    ceph[daemon].child.kill('SIGCONT')
  }
  await eventually(() => stuckChildren() === 0, 10_000)
  await isWell()
  expect(readdirSync(ceph.path)).toEqual([])
})

it.each([['ceph.quota.max_bytes', '1000'], ['ceph.quota.max_files', '1']])('is full at a quota of a directory: %s', async (name, value) => {
  const target = join(ceph.path, name)
  mkdirSync(target)
  await ceph.attribute(target, name, value)
  expect(await probe({ target, require_mount: false })).toMatchObject(failed('request', 'full', 'mount_quota'))
  expect(readdirSync(target)).toEqual([])
})

it('is on the blocklist once its client is evicted', async () => {
  const [session] = JSON.parse(await ceph.command('daemon', 'mds.a', 'session', 'ls')) as { id: number }[]
  await ceph.command('daemon', 'mds.a', 'session', 'evict', `id=${session!.id}`)
  expect(await probe()).toMatchObject(failed('connect', 'stale', 'mount_blocklisted'))
})

it('is disconnected once ceph-fuse has died', async () => {
  await ceph.fuse.stop('SIGKILL')
  expect(await probe()).toMatchObject(failed('connect', 'stale', 'mount_disconnected'))
})
