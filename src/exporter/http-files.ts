import { readFileSync, statSync } from 'node:fs'

const MOST_BYTES = 1 << 20

export type FileText = { readonly text: string } | { readonly problem: string }

/** A small file as text, or one sentence that says why not. Never throws. */
export function readText(file: string): FileText {
  try {
    const bytes = readFileSync(file)
    return bytes.length > MOST_BYTES ? { problem: 'expected a file of at most 1 MB' } : { text: bytes.toString('utf8') }
  } catch (error) {
    return { problem: `cannot read ${file} (${errorCode(error)})` }
  }
}

/** Changes whenever the file is written, replaced or removed. Never throws. */
export function stampOf(file: string): string {
  try {
    const { ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true })
    return `${ino} ${size} ${mtimeNs} ${ctimeNs}`
  } catch (error) {
    return errorCode(error)
  }
}

/** `ENOENT` and its like: an error's code without its message, which may quote what was read. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
}
