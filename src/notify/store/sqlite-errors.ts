/** SQLite's primary result codes that have a sentence of their own (sqlite.org/rescode.html). */
const PERMISSION = 3
const BUSY = 5
const READ_ONLY = 8
const INPUT_OUTPUT = 10
const CORRUPT = 11
const FULL = 13
const CANNOT_OPEN = 14
const NOT_A_DATABASE = 26

/** The primary result code of an error that SQLite raised; undefined for any other error. */
export function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return undefined
  return error.errcode & 0xff
}

/** Whether another connection holds the lock. */
export function isBusy(error: unknown): boolean {
  return sqliteCode(error) === BUSY
}

/** The code of an error of a file call, such as ENOENT. */
export function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

/** What an error of SQLite or of a file call on `path` means, as a sentence; any other error is returned as it is. */
export function storageError(error: unknown, path: string): unknown {
  const sentence = sentenceOf(error, path)
  return sentence === undefined ? error : new Error(sentence, { cause: error })
}

function sentenceOf(error: unknown, path: string): string | undefined {
  if (!(error instanceof Error)) return undefined
  switch (sqliteCode(error)) {
    case undefined: return fileSentence(error, path)
    case BUSY: return `another process keeps ${path} locked: try again when it is done`
    case PERMISSION: case CANNOT_OPEN: return `${path} cannot be opened: this user must be able to read and write it, and its directory`
    case READ_ONLY: return `${path} cannot be written: the file, its directory or its file system is read-only for this user`
    case INPUT_OUTPUT: return `reading or writing ${path} failed (${error.message}): look at the disk`
    case CORRUPT: case NOT_A_DATABASE: return `${path} is damaged or not an outbox (${error.message}): restore it, or move it away to begin with an empty one`
    case FULL: return `no room is left on the disk of ${path}`
    default: return `SQLite refuses ${path}: ${error.message}`
  }
}

function fileSentence(error: Error, path: string): string | undefined {
  switch (codeOf(error)) {
    case 'EACCES': case 'EPERM': return `${path} cannot be written by this user: change its owner, or name another directory`
    case 'EROFS': return `${path} is on a read-only file system: name another directory`
    case 'ENOSPC': case 'EDQUOT': return `no room is left on the disk of ${path}`
    case 'ENOTDIR': case 'EEXIST': return `${path} is not a directory, or stands below something that is none`
    case 'ENOENT': return `${path} does not exist`
    default: return undefined
  }
}
