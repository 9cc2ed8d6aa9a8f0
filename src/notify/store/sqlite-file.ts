import { closeSync, openSync } from 'node:fs'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { migrate } from './schema.ts'
import { codeOf, storageError } from './sqlite-errors.ts'

/** How long a call waits for another process that writes (`curlew notify dead`), ms: a webhook must be answered within a second. */
const BUSY_MS = 700
/** What the log keeps on disk once its pages are in the database, bytes. */
const LOG_BYTES = 16 * 1024 * 1024

export type Parameters = Readonly<Record<string, SQLInputValue>>

/** A prepared statement whose parameters are named `:x`. */
export interface Statement {
  get(parameters?: Parameters): Record<string, unknown> | undefined
  all(parameters?: Parameters): Record<string, unknown>[]
  /** How many rows it changed. */
  run(parameters?: Parameters): number
}

export interface SqliteFile {
  statement(sql: string): Statement
  /** Runs `work` in one transaction that is on disk when it resolves; rejects, with nothing written, with what it throws or a sentence. */
  write<T>(work: () => T): Promise<T>
  /** The same for reading: all of it sees one state. */
  read<T>(work: () => T): Promise<T>
  close(): void
}

/**
 * Opens the file of an outbox, creating it for this user alone: alerts may be confidential. Throws a sentence where it cannot
 * be opened, is damaged or comes from a newer version; what is damaged stays as it is.
 */
export function openSqliteFile(path: string): SqliteFile {
  const database = openDatabase(path)
  const simple = (sql: string) => {
    const statement = database.prepare(sql)
    return () => { statement.run() }
  }
  const begin = { write: simple('BEGIN IMMEDIATE'), read: simple('BEGIN') }
  const commit = simple('COMMIT')
  const transaction = async <T>(kind: 'write' | 'read', work: () => T): Promise<T> => {
    try {
      begin[kind]()
      const result = work()
      commit()
      return result
    } catch (error) {
      rollBack(database)
      throw storageError(error, path)
    }
  }
  return {
    statement: (sql) => wrap(database.prepare(sql)),
    write: (work) => transaction('write', work),
    read: (work) => transaction('read', work),
    close() {
      if (database.isOpen) database.close()
    },
  }
}

function openDatabase(path: string): DatabaseSync {
  let database: DatabaseSync | undefined
  try {
    create(path)
    database = new DatabaseSync(path, { timeout: BUSY_MS })
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = ${LOG_BYTES}`)
    database.exec('BEGIN IMMEDIATE')
    migrate(database, path)
    database.exec('COMMIT')
    return database
  } catch (error) {
    if (database?.isOpen) database.close()
    throw storageError(error, path)
  }
}

/** Never opens a file that is there: closing it again would drop the locks that SQLite has on it in this process. */
function create(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  }
}

/** SQLite has rolled back by itself after some errors, such as a full disk. */
function rollBack(database: DatabaseSync): void {
  if (database.isOpen && database.isTransaction) database.exec('ROLLBACK')
}

function wrap(statement: StatementSync): Statement {
  return {
    get: (parameters = {}) => statement.get(parameters),
    all: (parameters = {}) => statement.all(parameters),
    run: (parameters = {}) => Number(statement.run(parameters).changes),
  }
}
