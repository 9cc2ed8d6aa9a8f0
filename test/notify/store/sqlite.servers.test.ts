import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Outbox } from '../../../src/notify/outbox.ts'
import { lockDirectory } from '../../../src/notify/store/lock.ts'
import { openSqliteOutbox } from '../../../src/notify/store/sqlite.ts'
import { temporaryDirectory } from '../../support/process.ts'
import { firing, incomingOf, NOON, OPTIONS } from './samples.ts'

describe('an outbox on a disk of its own', () => {
  let parent: ReturnType<typeof temporaryDirectory>
  let disk: string
  let outboxes: Outbox[]
  beforeEach(() => {
    parent = temporaryDirectory()
    disk = join(parent.path, 'disk')
    mkdirSync(disk)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'curlew-test', disk])
    outboxes = []
  })
  afterEach(async () => {
    for (const outbox of outboxes) await outbox.close()
    execFileSync('umount', ['-l', disk])
    parent.remove()
  })
  const open = () => {
    const outbox = openSqliteOutbox(disk, { ...OPTIONS, entries: 100_000 })
    outboxes.push(outbox)
    return outbox
  }
  const batch = (name: string) => incomingOf(Array.from({ length: 50 }, (_, index) => firing(`${name}-${index}`)))

  it('says that it is full, keeps what it has, and goes on when there is room', async () => {
    const outbox = open()
    const ballast = join(disk, 'ballast')
    writeFileSync(ballast, Buffer.alloc(2_000_000))
    let accepted = 0
    const fill = async () => {
      for (;;) accepted += (await outbox.accept([batch(`a${accepted}`)], NOON)).queued
    }
    await expect(fill()).rejects.toThrow(`no room is left on the disk of ${disk}/outbox.db`)
    await expect(fill()).rejects.toThrow('no room is left')
    expect(accepted).toBeGreaterThan(0)
    expect(await outbox.waiting('ops')).toMatchObject({ entries: accepted })
    rmSync(ballast)
    expect(await outbox.accept([batch('b')], NOON)).toMatchObject({ queued: 50 })
    expect(await outbox.waiting('ops')).toMatchObject({ entries: accepted + 50 })
  })

  it('is not begun on a full or read-only one', async () => {
    writeFileSync(join(disk, 'ballast'), Buffer.alloc(statfsSync(disk).bavail * statfsSync(disk).bsize))
    expect(open).toThrow(`no room is left on the disk of ${disk}/outbox.db`)
    await expect(lockDirectory(join(disk, 'state'), 0)).rejects.toThrow(`no room is left on the disk of ${disk}/state`)
    execFileSync('mount', ['-o', 'remount,ro', disk])
    await expect(lockDirectory(join(disk, 'other'), 0)).rejects.toThrow(`${disk}/other is on a read-only file system`)
    await expect(lockDirectory(join(disk, 'state'), 0)).rejects.toThrow(/is on a read-only file system|is read-only for this user/)
  })

  it('keeps its log small', async () => {
    execFileSync('mount', ['-o', 'remount,size=60m', disk])
    const outbox = open()
    for (let round = 0; round < 200; round += 1) await outbox.accept([batch(`a${round}`)], NOON)
    expect((await outbox.waiting('ops')).entries).toBe(10_000)
    expect(statSync(join(disk, 'outbox.db-wal')).size).toBeLessThan(16 * 1024 * 1024)
  })
})
