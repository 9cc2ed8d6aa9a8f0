import { readSync, writeSync } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'
import { diskCalls } from './disk-calls.ts'

// A process of its own, started by disk.ts: a line of JSON in, a call, a line of JSON out. It ends when its input does.
// It waits in read(2) itself: streams and an event loop would cost each worker megabytes and its start the time.
const table: Readonly<Record<string, (...args: never[]) => unknown>> = diskCalls
/** Errors of Linux for which libuv has no name: include/uapi/asm-generic/errno.h. */
const NAMES: Readonly<Record<number, string>> = {
  74: 'EBADMSG', 116: 'ESTALE', 117: 'EUCLEAN', 122: 'EDQUOT', 126: 'ENOKEY', 127: 'EKEYEXPIRED', 128: 'EKEYREVOKED', 129: 'EKEYREJECTED',
}
const chunk = Buffer.alloc(64 * 1024)
const decoder = new StringDecoder('utf8')
let input = ''

try {
  say({ ready: true })
  for (let count = readSync(0, chunk); count > 0; count = readSync(0, chunk)) {
    const lines = (input + decoder.write(chunk.subarray(0, count))).split('\n')
    input = lines.pop() ?? ''
    for (const line of lines) say(answerTo(line))
  }
} finally {
  // Whoever asked is gone, perhaps in the middle of a run.
  diskCalls.release()
}

function answerTo(line: string): unknown {
  const { call, args } = JSON.parse(line) as { call: string, args: never[] } // safe: disk.ts writes nothing else
  const start = performance.now()
  try {
    const work = table[call]
    if (!work) throw new Error(`no call ${call}`)
    const value = work(...args)
    return { value, ms: performance.now() - start }
  } catch (error) {
    return { error: factsOf(error), ms: performance.now() - start }
  }
}

function factsOf(error: unknown): { message: string, code?: string | undefined, syscall?: string | undefined } {
  if (!(error instanceof Error)) return { message: String(error) }
  const { message, code, errno, syscall } = error as NodeJS.ErrnoException // safe: a superset, whose fields may be missing
  return { message, code: NAMES[-(errno ?? 0)] ?? code, syscall }
}

function say(line: unknown): void {
  const bytes = Buffer.from(`${JSON.stringify(line)}\n`)
  for (let length = 0; length < bytes.length;) length += writeSync(1, bytes, length)
}
