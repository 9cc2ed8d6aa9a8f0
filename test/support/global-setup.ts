import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Whatever happens to a test file, nothing that it started or wrote stays behind: every process of this run carries a mark
 * in its environment, and every temporary directory is made below one that goes with the run.
 */
export default function setup() {
  const directory = mkdtempSync(join(tmpdir(), 'curlew-tests-'))
  // Servers that run as another user go through it to directories of their own.
  chmodSync(directory, 0o711)
  const before = process.env['TMPDIR']
  process.env['TMPDIR'] = directory
  const mark = `CURLEW_TEST_RUN=${directory}`
  process.env['CURLEW_TEST_RUN'] = directory

  return () => {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
      if (environmentOf(pid).includes(mark)) kill(Number(pid))
    }
    if (before === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = before
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
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
