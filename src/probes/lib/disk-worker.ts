import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { diskCalls } from './disk-calls.ts'

// A process of its own, started by disk.ts: a line of JSON in, a call, a line of JSON out. It ends when its input does.
const table: Readonly<Record<string, (...args: never[]) => unknown>> = diskCalls

createInterface({ input: process.stdin }).on('line', (line) => {
  const { call, args } = JSON.parse(line) as { call: string, args: never[] } // safe: disk.ts writes nothing else
  answer(() => {
    const work = table[call]
    if (!work) throw new Error(`no call ${call}`)
    return work(...args)
  })
})
answer(() => 'ready')

function answer(work: () => unknown): void {
  let line: unknown
  try {
    line = { value: work() }
  } catch (error) {
    line = { error: { message: error instanceof Error ? error.message : String(error), code: error instanceof Error && 'code' in error ? error.code : undefined } }
  }
  // Not process.stdout: the answer must be out before the next call hangs.
  const bytes = Buffer.from(`${JSON.stringify(line)}\n`)
  for (let length = 0; length < bytes.length;) length += writeSync(1, bytes, length)
}
