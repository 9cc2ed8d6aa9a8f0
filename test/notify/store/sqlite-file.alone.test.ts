import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openSqliteOutbox } from '../../../src/notify/store/sqlite.ts'
import type { Outbox } from '../../../src/notify/outbox.ts'
import { startProcess, temporaryDirectory } from '../../support/process.ts'
import { firing, incomingOf, NOON, OPTIONS } from './samples.ts'

const CHILD = fileURLToPath(new URL('children/accept.ts', import.meta.url))

describe('the file of an outbox', () => {
  let directory: ReturnType<typeof temporaryDirectory>
  let file: string
  let outboxes: Outbox[]
  beforeEach(() => {
    directory = temporaryDirectory()
    file = join(directory.path, 'outbox.db')
    outboxes = []
  })
  afterEach(async () => {
    for (const outbox of outboxes) await outbox.close()
    directory.remove()
  })
  const open = (options = OPTIONS) => {
    const outbox = openSqliteOutbox(directory.path, options)
    outboxes.push(outbox)
    return outbox
  }

  it('keeps everything that was accepted, and sends nothing twice, when its process is killed at any moment', async () => {
    const waiting = new Set<string>()
    const sent = new Set<string>()
    for (let round = 0; round < 15; round += 1) {
      const child = await startProcess(process.execPath, [CHILD, directory.path, String(round)], { ready: (output) => output.includes('ready') })
      await sleep(5 + Math.random() * 60)
      await child.stop('SIGKILL')
      // What is being sent when it dies is gone, or is not.
      let sending: string[] = []
      for (const line of child.output().split('\n').slice(0, -1)) {
        const [what, ...names] = line.trim().split(' ')
        for (const name of sending) sent.add(name)
        sending = what === 'sending' ? names : []
        for (const name of names) {
          if (what === 'accepted') waiting.add(name)
          else waiting.delete(name)
        }
      }
    }
    const database = new DatabaseSync(file)
    expect(database.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }])
    expect(database.prepare('SELECT (SELECT sum(waiting) FROM tally) = (SELECT count(*) FROM entry) AS right').get()).toEqual({ right: 1 })
    database.close()

    const outbox = open({ ...OPTIONS, entries: 100_000 })
    const kept = new Set([...await outbox.queued('ops', 'age', 100_000), ...(await outbox.messages('ops')).flatMap(({ entries }) => entries)].map(({ alert }) => alert.labels['alertname'] ?? ''))
    expect(waiting.size).toBeGreaterThan(100)
    expect([...waiting].filter((name) => !kept.has(name))).toEqual([])
    expect(sent.size).toBeGreaterThan(20)
    expect([...sent].filter((name) => kept.has(name))).toEqual([])
  }, 60_000)

  it('is for its user alone, and prints no warning', () => {
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', `
      import { openSqliteOutbox } from '${fileURLToPath(new URL('../../../src/notify/store/sqlite.ts', import.meta.url))}'
      import { statSync } from 'node:fs'
      const outbox = openSqliteOutbox(process.argv[1], { dedupMs: 1, entries: 9, keepDeadMs: 1 })
      await outbox.sweep(1)
      for (const end of ['', '-wal', '-shm']) console.log((statSync(process.argv[1] + '/outbox.db' + end).mode & 0o777).toString(8))
    `, directory.path], { encoding: 'utf8' })
    expect({ stdout, stderr }).toEqual({ stdout: '600\n600\n600\n', stderr: '' })
  })

  it('is refused when it is damaged or something else, and stays as it is', async () => {
    const junk = 'this is no database, but somebody may want it back. '.repeat(50)
    writeFileSync(file, junk)
    expect(() => open()).toThrow(`${file} is damaged or not an outbox (file is not a database): restore it, or move it away to begin with an empty one`)
    expect(readFileSync(file, 'utf8')).toBe(junk)
  })

  it('says so when it is damaged within', async () => {
    const outbox = open()
    await outbox.accept([incomingOf(Array.from({ length: 200 }, (_, index) => firing(`a${index}`)))], NOON)
    await outbox.close()
    const { size } = statSync(file)
    const fd = openSync(file, 'r+')
    for (let page = 4096 * 3; page < size; page += 4096) writeSync(fd, Buffer.alloc(2048, 0xff), 0, 2048, page)
    closeSync(fd)
    const again = open()
    await expect(again.queued('ops', 'age', 200)).rejects.toThrow('is damaged or not an outbox')
  })

  it('of the first version is brought to this one with all that it holds', async () => {
    await open().accept([incomingOf([firing('a')])], NOON)
    const database = new DatabaseSync(file)
    database.exec('DROP TABLE memory; PRAGMA user_version = 1')
    database.close()
    const outbox = open()
    await outbox.remember('a', 'b')
    expect([await outbox.recall('a'), (await outbox.queued('ops', 'age', 10)).length]).toEqual(['b', 1])
  })

  it('of a newer Curlew is refused', async () => {
    await open().close()
    const database = new DatabaseSync(file)
    database.exec('PRAGMA user_version = 99')
    database.close()
    expect(() => open()).toThrow(`${file} was written by a newer Curlew (version 99 of the file, this one knows 2)`)
  })

  it('is opened again with what it held', async () => {
    const first = open()
    await first.accept([incomingOf([firing('a')])], NOON)
    const lease = await first.lease('ops', 1_000, NOON)
    await first.freeze(lease!, (await first.queued('ops', 'age', 9)).map(({ id }) => id), ['{}', '{}'], false, NOON)
    await first.partSent(lease!, 1, NOON)
    await first.take(lease!, 'robot', [{ messages: 1, perMs: 1_000 }], NOON)
    await first.close()
    const second = open()
    expect(await second.messages('ops')).toMatchObject([{ sent: 1, entries: [{ alert: firing('a') }] }])
    expect(await second.accept([incomingOf([firing('a')])], NOON + 1)).toMatchObject({ duplicates: 1 })
    expect(await second.room('robot', [{ messages: 1, perMs: 1_000 }], NOON + 1)).toEqual({ waitMs: 999, left: 0 })
    expect(await second.lease('ops', 1_000, NOON)).toBeDefined()
  })

  it('waits for another process that writes, and says so when that takes too long', async () => {
    const outbox = open()
    const other = new DatabaseSync(file)
    other.exec('BEGIN IMMEDIATE')
    await expect(outbox.accept([incomingOf([firing('a')])], NOON)).rejects.toThrow(`another process keeps ${file} locked: try again when it is done`)
    other.exec('ROLLBACK')
    other.close()
    expect(await outbox.accept([incomingOf([firing('a')])], NOON)).toMatchObject({ queued: 1 })
  })

  it('rejects what it cannot write, half-writes nothing, and works again when it can', async () => {
    const outbox = open()
    await outbox.accept([incomingOf([firing('a')])], NOON)
    const limit = (bytes: string) => execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:unlimited`])
    const many = incomingOf(Array.from({ length: 2_000 }, (_, index) => firing(`b${index}`)))
    const roomy = open({ ...OPTIONS, entries: 10_000 })
    limit(String(600_000))
    try {
      for (let attempt = 0; attempt < 3; attempt += 1) await expect(roomy.accept([many], NOON)).rejects.toThrow(`reading or writing ${file} failed`)
      expect(await roomy.waiting('ops')).toEqual({ entries: 1, notifications: 1 })
    } finally {
      limit('unlimited')
    }
    expect(await roomy.accept([many], NOON)).toEqual({ queued: 2_000, duplicates: 0, merged: 0 })
    expect(await outbox.waiting('ops')).toEqual({ entries: 2_001, notifications: 2 })
  })

  it('drops states and counts that are past their time', async () => {
    const outbox = open()
    await outbox.accept([incomingOf([firing('a'), firing('b')])], NOON)
    const lease = await outbox.lease('ops', 100_000, NOON)
    await outbox.take(lease!, 'robot', [{ messages: 2, perMs: 1_000 }], NOON)
    const database = new DatabaseSync(file)
    const count = () => database.prepare('SELECT (SELECT count(*) FROM state) AS states, (SELECT count(*) FROM send) AS sends').get()
    await outbox.sweep(NOON + 999)
    expect(count()).toEqual({ states: 2, sends: 1 })
    await outbox.sweep(NOON + 1_000)
    expect(count()).toEqual({ states: 2, sends: 0 })
    await outbox.accept([incomingOf([firing('c')])], NOON + OPTIONS.dedupMs)
    expect(count()).toEqual({ states: 1, sends: 0 })
    await outbox.sweep(NOON + 2 * OPTIONS.dedupMs)
    expect(count()).toEqual({ states: 0, sends: 0 })
    database.close()
  })
})
