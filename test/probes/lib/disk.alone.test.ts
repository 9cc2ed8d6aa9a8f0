import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { stuckChildren } from '../../../src/children.ts'
import { openDisk } from '../../../src/probes/lib/disk.ts'
import { childrenOf } from '../../support/children.ts'
import { eventually, temporaryDirectory } from '../../support/process.ts'

const home = temporaryDirectory()
let directory: string
beforeEach(() => { directory = mkdtempSync(join(home.path, 'x')) })
afterAll(() => home.remove())

const within = (ms: number, signal = new AbortController().signal) => ({ signal, deadline: performance.now() + ms })
const workers = () => childrenOf(process.pid).filter(({ command }) => command.includes('disk-worker'))
/** Lends a worker for one piece of work. */
async function lent<T>(work: (disk: Awaited<ReturnType<typeof openDisk>>) => Promise<T>): Promise<T> {
  const disk = await openDisk('here', within(5_000))
  try {
    return await work(disk)
  } finally {
    disk.close()
  }
}

describe('a call', () => {
  it('looks at files, directories and links', async () => {
    const file = join(directory, 'ü file')
    writeFileSync(file, 'hello')
    symlinkSync(file, join(directory, 'link'))
    await lent(async (disk) => {
      const { ino, mtimeMs } = statSync(file)
      expect(await disk.call('stat', join(directory, 'link'))).toMatchObject({ kind: 'file', size: 5, ino, mtimeMs })
      expect(await disk.call('lstat', join(directory, 'link'))).toMatchObject({ kind: 'link' })
      expect(await disk.call('stat', directory)).toMatchObject({ kind: 'directory' })
      expect(await disk.call('stat', '/dev/null')).toMatchObject({ kind: 'other' })
      expect(await disk.call('readlink', join(directory, 'link'))).toBe(file)
      expect(await disk.call('realpath', join(directory, 'link'))).toBe(file)
      expect((await disk.call('mounts', '/proc')).at(-1)).toMatchObject({ point: '/proc', fstype: 'proc' })
      expect((await disk.call('list', directory, 5)).names.sort()).toEqual(['link', 'ü file'])
      const space = await disk.call('statfs', directory)
      expect(space.size).toBeGreaterThan(space.free)
    })
  })

  it('reads and lists no more than it was told', async () => {
    const file = join(directory, 'file')
    writeFileSync(file, '0123456789')
    for (let number = 0; number < 20; number++) writeFileSync(join(directory, String(number)), '')
    await lent(async (disk) => {
      const text = async (most: number) => {
        const { base64, more } = await disk.call('read', file, most)
        return [Buffer.from(base64, 'base64').toString(), more]
      }
      expect(await text(4)).toEqual(['0123', true])
      expect(await text(10)).toEqual(['0123456789', false])
      expect(await text(100)).toEqual(['0123456789', false])
      const few = await disk.call('list', directory, 5)
      expect([few.names.length, few.more]).toEqual([5, true])
      const all = await disk.call('list', directory, 21)
      expect([all.names.length, all.more]).toEqual([21, false])
    })
  })

  it('waits for no writer of a FIFO', async () => {
    execFileSync('mkfifo', [join(directory, 'fifo')])
    await lent(async (disk) => {
      await expect(disk.call('read', join(directory, 'fifo'), 5)).rejects.toMatchObject({ code: 'EINVAL', syscall: 'read' })
    })
  })

  it('fails with the error of the system', async () => {
    await lent(async (disk) => {
      await expect(disk.call('stat', join(directory, 'nothing'))).rejects.toMatchObject({ code: 'ENOENT', syscall: 'stat' })
      await expect(disk.call('unlink', join(directory, 'nothing'))).rejects.toMatchObject({ code: 'ENOENT', syscall: 'unlink' })
      expect(await disk.call('stat', directory)).toMatchObject({ kind: 'directory' })
    })
  })

  it('writes, syncs and compares', async () => {
    const file = join(directory, 'file')
    await lent(async (disk) => {
      await disk.call('write', file, 'text ', 1 << 20, 'text')
      await disk.call('fsync')
      expect(statSync(file)).toMatchObject({ size: 1 << 20, mode: 0o100600 })
      expect(await disk.call('compare', file, 'text ', 1 << 20)).toEqual({ differs: undefined })
      for (const [change, wanted] of [['text textX', /longer than the 9 bytes/], ['text', /4 of the 9 bytes/], ['text tExt', /at byte 6/]] as const) {
        writeFileSync(file, change)
        expect((await disk.call('compare', file, 'text ', 9)).differs).toMatch(wanted)
      }
    })
  })

  it('is timed where it happens', async () => {
    await lent(async (disk) => {
      expect(disk.spentMs()).toBe(0)
      const before = performance.now()
      await disk.call('list', directory, 10)
      const first = disk.spentMs()
      await disk.call('list', directory, 10)
      expect(first).toBeGreaterThan(0)
      expect(disk.spentMs()).toBeGreaterThan(first)
      expect(disk.spentMs()).toBeLessThan(performance.now() - before)
    })
  })
})

describe('workers', () => {
  it('are used again, and few are kept', async () => {
    await lent(async () => {})
    const [{ pid } = { pid: 0 }] = workers()
    for (let run = 0; run < 5; run++) await lent((disk) => disk.call('stat', directory))
    expect(workers().map((worker) => worker.pid)).toContain(pid)

    await Promise.all(Array.from({ length: 12 }, () => lent((disk) => disk.call('stat', directory))))
    await eventually(() => workers().length <= 2)
  })

  it('close what a run has left open', async () => {
    await lent((disk) => disk.call('write', join(directory, 'file'), 'x', 100, 'x'))
    await eventually(() => workers().every(({ files }) => !files.some((file) => file.startsWith(directory))))
    expect(stuckChildren()).toBe(0)
    expect(await lent((disk) => disk.call('stat', directory))).toMatchObject({ kind: 'directory' })
  })

  it('are no longer waited for when the run is stopped', async () => {
    const stop = new AbortController()
    const disks = await Promise.all(Array.from({ length: 30 }, () => openDisk('here', within(9_000))))
    const waiting = openDisk('here', within(9_000, stop.signal))
    setTimeout(() => stop.abort(new Error('stopped')), 50)
    await expect(waiting).rejects.toThrow('stopped')
    await expect(openDisk('here', within(9_000, AbortSignal.abort(new Error('at once'))))).rejects.toThrow('at once')
    // With all of them at work there is none, and that is nobody's fault but ours.
    await expect(openDisk('here', within(100))).rejects.toMatchObject({ code: 'prober_children', message: '30 helper processes are at work, 0 of them hang' })
    // What cannot hang is still asked.
    const table = await openDisk(undefined, within(5_000))
    expect((await table.call('mounts', '/proc')).at(-1)).toMatchObject({ point: '/proc' })
    table.close()
    await expect(openDisk('here', within(100))).rejects.toMatchObject({ code: 'prober_children' })
    const next = openDisk('here', within(5_000))
    disks[0]!.close()
    const lentAgain = await next
    for (const disk of [...disks, lentAgain]) disk.close()
    await eventually(() => workers().length <= 2)
  }, 20_000)

  it('that are stopped accuse nobody, nor do they later', async () => {
    const disk = await openDisk('stopped', within(500))
    for (const { pid } of workers()) process.kill(pid, 'SIGSTOP')
    await expect(disk.call('stat', directory)).rejects.toMatchObject({ code: 'prober_starved' })
    disk.close()
    await sleep(1_200)
    expect(stuckChildren()).toBe(0)
    for (const { pid } of workers()) process.kill(pid, 'SIGCONT')
  })

  it('that are killed are missed, and replaced', async () => {
    const disk = await openDisk('killed', within(2_000))
    for (const { pid } of workers()) process.kill(pid, 'SIGKILL')
    await expect(disk.call('stat', directory)).rejects.toMatchObject({ code: 'prober_worker_lost', message: 'the helper process is gone: it ended with SIGKILL' })
    disk.close()
    await eventually(() => lent((one) => one.call('stat', directory)))
  })

  it('that are killed are not watched: another process may get their number', async () => {
    const disk = await openDisk('killed', within(2_000))
    for (const { pid } of workers()) process.kill(pid, 'SIGKILL')
    await expect(disk.call('stat', directory)).rejects.toMatchObject({ code: 'prober_worker_lost' })
    const timers = vi.spyOn(globalThis, 'setInterval')
    disk.close()
    expect(timers).not.toHaveBeenCalled()
    timers.mockRestore()
  })

  it('may be killed in the middle of an answer', async () => {
    const file = join(directory, 'long')
    writeFileSync(file, 'x'.repeat(1_000_000))
    const disk = await openDisk('killed', within(5_000))
    const answer = disk.call('read', file, 1_000_000)
    // More than a pipe holds: it waits for us to read.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)
    for (const { pid } of workers()) process.kill(pid, 'SIGKILL')
    await expect(answer).rejects.toMatchObject({ code: 'prober_worker_lost' })
    disk.close()
  })

  it('write to no file that is not theirs', async () => {
    mkdirSync(join(directory, 'sub'))
    writeFileSync(join(directory, 'file'), 'precious')
    await lent(async (disk) => {
      await expect(disk.call('write', join(directory, 'file'), 'mark', 100, 'mark')).rejects.toMatchObject({ code: 'EEXIST' })
      await expect(disk.call('write', join(directory, 'sub'), 'mark', 100, 'mark')).rejects.toMatchObject({ code: 'EEXIST' })
    })
    expect(readFileSync(join(directory, 'file'), 'utf8')).toBe('precious')
    expect(readdirSync(directory).sort()).toEqual(['file', 'sub'])
  })
})
