import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { codeOf, isBusy, storageError } from './sqlite-errors.ts'

export interface DirectoryLock {
  release(): void
}

const RETRY_MS = 50

/**
 * Makes this process the only owner of a state directory, which is created (0700) where it is missing. Waits `waitMs` for an
 * earlier owner, then rejects with a sentence that names it. The lock is SQLite's own on a file beside the outbox: the kernel
 * lets go of it when the process dies, however it dies, and other processes may still read and write the outbox.
 */
export async function lockDirectory(directory: string, waitMs: number): Promise<DirectoryLock> {
  const path = resolve(directory)
  const until = performance.now() + waitMs
  for (;;) {
    const lock = tryLock(path)
    if (lock) return lock
    const leftMs = until - performance.now()
    if (leftMs <= 0) throw new Error(`another Curlew holds the state directory ${path}${ownerOf(path)}: stop it, or give this one a directory of its own`)
    await sleep(Math.min(RETRY_MS, leftMs))
  }
}

function tryLock(path: string): DirectoryLock | undefined {
  let database: DatabaseSync | undefined
  try {
    makeDirectories(path)
    database = new DatabaseSync(join(path, 'owner.db'), { timeout: 0 })
    database.exec('BEGIN EXCLUSIVE')
    // Beside the database, which nobody can read while it is locked.
    writeFileSync(join(path, 'owner.pid'), `${process.pid}\n`, { mode: 0o600 })
    const held = database
    return { release: () => { if (held.isOpen) held.close() } }
  } catch (error) {
    if (database?.isOpen) database.close()
    if (isBusy(error)) return undefined
    throw storageError(error, path)
  }
}

/** Node's own recursive mkdir says ENOENT of a read-only file system, and never returns from one that always says so (/proc). */
function makeDirectories(path: string): void {
  try {
    makeDirectory(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' || dirname(path) === path) throw error
    makeDirectories(dirname(path))
    makeDirectory(path)
  }
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    if (codeOf(error) !== 'EEXIST' || !statSync(path).isDirectory()) throw error
  }
}

/** Only for the sentence: an owner that has just begun may not have written it yet. */
function ownerOf(path: string): string {
  try {
    const pid = readFileSync(join(path, 'owner.pid'), 'latin1').trim()
    return /^\d+$/.test(pid) ? ` (pid ${pid})` : ''
  } catch {
    return ''
  }
}
