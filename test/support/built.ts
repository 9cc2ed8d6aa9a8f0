import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..', '..')
let directory: string | undefined

/** Has the tests start what is published instead of the sources: it needs half of their CPU until it probes. */
export function setup(): void {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts/build.ts')], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`Curlew cannot be built:\n${stderr}`)
  directory = mkdtempSync(join(tmpdir(), 'curlew-built-'))
  // Some of it runs as another user.
  chmodSync(directory, 0o755)
  for (const path of ['bin', 'dist', 'package.json']) cpSync(join(root, path), join(directory, path), { recursive: true })
  process.env['CURLEW_TEST_BUILT'] = directory
}

/** vitest calls it when the tests have ended. */
export function teardown(): void {
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true })
}
