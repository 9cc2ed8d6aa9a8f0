import { execFileSync } from 'node:child_process'
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lockDirectory } from '../../../src/notify/store/lock.ts'
import { openSqliteOutbox } from '../../../src/notify/store/sqlite.ts'
import { startProcess, temporaryDirectory, type Running } from '../../support/process.ts'
import { firing, incomingOf, NOON, OPTIONS } from './samples.ts'

const CHILD = fileURLToPath(new URL('children/lock.ts', import.meta.url))

describe('the lock on a state directory', () => {
  let parent: ReturnType<typeof temporaryDirectory>
  let path: string
  let children: Running[]
  beforeEach(() => {
    parent = temporaryDirectory()
    path = join(parent.path, 'deep', 'state')
    children = []
  })
  afterEach(async () => {
    for (const child of children) await child.stop('SIGKILL')
    parent.remove()
  })
  /** What another process says that wants the lock for a moment. */
  const other = () => execFileSync(process.execPath, [CHILD, path], { encoding: 'utf8' })
  const keeper = async () => {
    const running = await startProcess(process.execPath, [CHILD, path, 'keep'], { ready: (output) => output.includes('held') })
    children.push(running)
    return running
  }

  it('creates the directory for this user alone, and keeps a second owner out until it is released', async () => {
    const lock = await lockDirectory(path, 0)
    expect(statSync(path).mode & 0o777).toBe(0o700)
    await expect(lockDirectory(path, 30)).rejects.toThrow(`another Curlew holds the state directory ${path} (pid ${process.pid}): stop it, or give this one a directory of its own`)
    expect(other()).toContain(`another Curlew holds the state directory ${path} (pid ${process.pid})`)
    lock.release()
    lock.release()
    const again = await lockDirectory(path, 0)
    again.release()
    expect(other()).toBe('held\n')
  })

  it('waits for an earlier owner', async () => {
    const lock = await lockDirectory(path, 0)
    const next = lockDirectory(path, 5_000)
    expect(await Promise.race([next, sleep(150, 'still waiting')])).toBe('still waiting')
    lock.release()
    const held = await next
    held.release()
  })

  it('ends with a process that is killed', async () => {
    const owner = await keeper()
    await expect(lockDirectory(path, 0)).rejects.toThrow(`(pid ${owner.pid})`)
    const next = lockDirectory(path, 10_000)
    await owner.stop('SIGKILL')
    const lock = await next
    lock.release()
  })

  it('leaves the outbox itself to other processes', async () => {
    const owner = await keeper()
    const outbox = openSqliteOutbox(path, OPTIONS)
    expect(await outbox.accept([incomingOf([firing('a')])], NOON)).toMatchObject({ queued: 1 })
    await outbox.close()
    expect(owner.child.exitCode).toBeNull()
  })

  it('says what is wrong with a directory', async () => {
    mkdirSync(join(parent.path, 'deep'))
    writeFileSync(path, '')
    await expect(lockDirectory(path, 0)).rejects.toThrow(`${path} is not a directory`)
    await expect(lockDirectory(join(path, 'below'), 0)).rejects.toThrow('is not a directory')
    await expect(lockDirectory('/proc/curlew/state', 0)).rejects.toThrow('/proc/curlew/state does not exist')
    await expect(lockDirectory('/sys/curlew', 0)).rejects.toThrow('/sys/curlew cannot be written by this user')
  })
})
