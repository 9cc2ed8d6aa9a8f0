import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unmountBelow } from './fuse.ts'
import { removeNetworksOf, sweepNetworks } from './netns.ts'

/**
 * Whatever happens to a test file, nothing that it started or wrote stays behind: every process of this run carries a mark
 * in its environment, and every temporary directory is made below one that goes with the run. A run that was killed is cleaned
 * up by the next one: the directory's name holds the process that would have done it.
 */
export default function setup() {
  for (const name of readdirSync(tmpdir())) {
    const owner = /^curlew-tests-(\d+)-/.exec(name)?.[1]
    if (owner !== undefined && !existsSync(`/proc/${owner}`)) sweep(join(tmpdir(), name))
  }
  sweepNetworks()
  const directory = mkdtempSync(join(tmpdir(), `curlew-tests-${process.pid}-`))
  // Servers that run as another user go through it to directories of their own.
  chmodSync(directory, 0o711)
  const before = process.env['TMPDIR']
  // Debian keeps servers in sbin, which is not in everybody's PATH.
  process.env['PATH'] = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`
  process.env['TMPDIR'] = directory
  process.env['CURLEW_TEST_RUN'] = directory

  return () => {
    if (before === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = before
    sweep(directory)
  }
}

/** Ends what a run has left behind. */
function sweep(directory: string): void {
  const mark = `CURLEW_TEST_RUN=${directory}`
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    if (environmentOf(pid).includes(mark)) kill(Number(pid))
  }
  removeNetworksOf(directory)
  // Before anything is removed: what is mounted is not ours to empty, and may hang.
  unmountBelow(directory)
  try {
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
  } catch (error) {
    // Another user's, in a /tmp that everybody shares.
    if (!(error instanceof Error && 'code' in error && ['EACCES', 'EPERM'].includes(String(error.code)))) throw error
  }
}

function environmentOf(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
  } catch {
    return []
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself in the meantime.
  }
}
