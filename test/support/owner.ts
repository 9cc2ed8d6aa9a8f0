import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from './process.ts'

/** What a test has started and made, to be ended in reverse order by `end`, whatever happens. */
export function createOwner() {
  const ends: (() => unknown)[] = []
  return {
    /** A directory with a way to write files into it, objects as JSON. */
    place() {
      const directory = temporaryDirectory()
      ends.push(directory.remove)
      const write = (name: string, value: unknown) => {
        const file = join(directory.path, name)
        writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value))
        return file
      }
      return { path: directory.path, write }
    },
    async opened<T extends { close(): unknown }>(making: Promise<T>): Promise<T> {
      const made = await making
      ends.push(() => made.close())
      return made
    },
    async started<T extends { stop(): unknown }>(starting: Promise<T>): Promise<T> {
      const running = await starting
      ends.push(() => running.stop())
      return running
    },
    async end() {
      for (const end of ends.splice(0).toReversed()) await end()
    },
  }
}
