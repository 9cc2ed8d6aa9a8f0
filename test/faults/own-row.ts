import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { runCurlew } from '../support/curlew.ts'
import { temporaryDirectory } from '../support/process.ts'
import { lookedAtWhileItRan } from '../support/stalls.ts'
import type { Entry } from './table.ts'

export interface OwnRow {
  /** What is wrong, or wears Curlew out, in a person's words. */
  readonly fault: string
  readonly expected: string
  /** Makes it and looks at it; says what came of it, in the words of `expected` where that is right. */
  readonly look: () => Promise<string>
  readonly undo?: () => unknown
  readonly withinMs?: number
}

/** Rows of the table that one result of one `check` cannot tell. */
export function ownRows(group: string, rows: readonly OwnRow[]): void {
  for (const { fault, expected, look, undo, withinMs } of rows) {
    it(`${fault}`, { timeout: 3 * (withinMs ?? 15_000) }, async ({ task }) => {
      const began = performance.now()
      const say = (got: string) => { task.meta.row = { group, fault, like: undefined, expected, got, ms: performance.now() - began } }
      say('it could not be tried to the end')
      try {
        let looks = 0
        const got = await lookedAtWhileItRan(async () => {
          if (looks++ > 0) await undo?.()
          return await look()
        }, (seen) => seen === expected, (seen, hasStoodStill) => hasStoodStill && (expected.includes('failed') || !seen.includes('failed')))
        say(got)
        expect(got).toBe(expected)
      } finally {
        await undo?.()
      }
    })
  }
}

const report = z.object({
  results: z.array(z.object({
    name: z.string(), status: z.string(),
    failure: z.object({ layer: z.string(), reason: z.string(), code: z.string() }).optional(),
  })),
})

/** What is said of one target, as the table writes it. */
export interface Said {
  readonly name: string
  readonly verdict: string
}

/** Runs `curlew check` on several targets, on what the machine shows where no entry is given. */
export async function checkAll(entries: readonly Entry[] | undefined, options: { readonly wrap?: readonly string[] } = {}): Promise<Said[]> {
  const { stdout, stderr } = await runCurlew(['check', '-o', 'json', ...entries ? ['-c', configFile(entries)] : []], { ...options, cwd: temporaryDirectory().path })
  if (stdout === '') throw new Error(stderr)
  return report.parse(JSON.parse(stdout)).results.map(({ name, status, failure }) => ({ name, verdict: failure ? `${status} ${failure.layer}/${failure.reason} ${failure.code}` : status }))
}

/** Such as `30 ok, 4 failed request/hung mount_hung`. */
export function tally(said: readonly Said[]): string {
  const verdicts = said.map(({ verdict }) => verdict)
  return [...new Set(verdicts)].toSorted().reverse().map((verdict) => `${verdicts.filter((one) => one === verdict).length} ${verdict}`).join(', ')
}

export function configFile(entries: readonly Entry[]): string {
  const file = join(temporaryDirectory().path, 'curlew.yaml')
  writeFileSync(file, JSON.stringify({ probes: entries }))
  return file
}
