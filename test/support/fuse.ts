import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseMountinfo } from '../../src/core/mountinfo.ts'
import { startProcess, temporaryDirectory, type Running } from './process.ts'

const PROGRAM = join(import.meta.dirname, 'faulty_fs.py')

/** What happens to an operation of FUSE, or to all of them as `*`: see faulty_fs.py. */
export type Faults = Readonly<Record<string, {
  readonly errno?: string | number
  readonly hang?: true
  readonly delay_ms?: number
  readonly most?: number
  readonly wrong?: true
  readonly answer?: Readonly<Record<string, number>>
  readonly path?: string
}>>

export interface FaultyMount {
  readonly path: string
  readonly server: Running
  /** Lets it fail so from now on; nothing is well. What hung goes on when that is over. */
  suffer(faults?: Faults): void
  /** Ends its server, which frees whatever hangs in it, and unmounts. */
  stop(): Promise<void>
}

/** Mounts a file system of FUSE whose faults are scripted; it has a file `known` and a directory `sub`. `cached` ones can hold a database. Needs root. */
export async function mountFaulty({ subtype = 'faulty', cached = false }: { readonly subtype?: string, readonly cached?: boolean } = {}): Promise<FaultyMount> {
  const directory = temporaryDirectory()
  const path = join(directory.path, 'mnt')
  const faults = join(directory.path, 'faults.json')
  const suffer = (wanted: Faults = {}) => {
    // Whole at any moment that it is read.
    writeFileSync(`${faults}.new`, JSON.stringify(wanted))
    renameSync(`${faults}.new`, faults)
  }
  suffer()
  mkdirSync(path)
  const server = await startProcess('/usr/bin/python3', [PROGRAM, path, faults, subtype, ...cached ? ['cached'] : []], { ready: () => mountPoints().includes(path) })
  return {
    path, server, suffer,
    async stop() {
      await server.stop('SIGKILL')
      unmount(path)
      directory.remove()
    },
  }
}

/** Unmounts what is mounted there last, in use or not and without asking it; nothing where nothing is. */
export function unmount(path: string): void {
  if (mountPoints().includes(path)) execFileSync('umount', ['--lazy', '--no-canonicalize', path], { stdio: 'pipe', timeout: 5_000 })
}

/** Unmounts everything below a directory, what was mounted last first. */
export function unmountBelow(directory: string): void {
  for (const point of mountPoints().toReversed()) if (point.startsWith(`${directory}/`)) unmount(point)
}

/** Every path on which something is mounted, in the order of mounting; one that is covered twice stands there twice. */
export function mountPoints(): string[] {
  return parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8')).map(({ point }) => point)
}
