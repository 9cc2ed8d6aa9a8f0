import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { EXIT } from '../../src/commands/usage.ts'
import type { Layer, Reason } from '../../src/core/result.ts'
import { runCurlew, type Ran } from '../support/curlew.ts'
import { temporaryDirectory } from '../support/process.ts'
import { lookedAtWhileItRan } from '../support/stalls.ts'

/**
 * What gauges must be: a value, or what it lies between, both ends included. A key may name labels, as in `x{state="ok"}`;
 * `duration_seconds` is the time of the run.
 */
export type Levels = Readonly<Record<string, number | readonly [number, number]>>

/** What Curlew must say; `nothing` is a run that ends, as `exit` tells, without a word about any target. */
export type Expected =
  | { readonly status: 'ok', readonly levels: Levels }
  | { readonly status: 'failed' | 'unknown', readonly layer: Layer, readonly reason: Reason, readonly code: string, readonly levels: Levels }
  | { readonly status: 'nothing', readonly exit: keyof typeof EXIT }

export function failed(layer: Layer, reason: Reason, code: string, levels: Levels = {}): Expected {
  return { status: 'failed', layer, reason, code, levels }
}

/** Our own trouble: nothing is said of the target. */
export function unknown(reason: Reason, code: string): Expected {
  return { status: 'unknown', layer: 'prober', reason, code, levels: {} }
}

/** A level that is no failure by itself: gauges show it. */
export function ok(levels: Levels = {}): Expected {
  return { status: 'ok', levels }
}

export function nothing(exit: keyof typeof EXIT): Expected {
  return { status: 'nothing', exit }
}

export type Entry = Readonly<Record<string, unknown>>

export interface Trial {
  /** An entry of the config without its name, or what a person types. */
  readonly probe: Entry | string
  /** Put before the command, as by another user or in another namespace. */
  readonly wrap?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  /** Runs while Curlew looks, given its process. */
  readonly meanwhile?: ((pid: number) => Promise<unknown>) | undefined
}

export interface Fault {
  /** What is wrong, in a person's words; unique in its group. */
  readonly fault: string
  /** Where the wire does not tell this fault from others: which, so that the honest answer is the wider one. */
  readonly like?: string
  /** Makes the fault and says how it is probed. */
  readonly make: () => Promise<Trial> | Trial
  readonly expected: Expected
  /** Undoes what `make` did, whatever came of it. */
  readonly undo?: () => unknown
}

/** What a row came to, for the reporter of `npm run faults`. */
export interface Row {
  readonly group: string
  readonly fault: string
  readonly like: string | undefined
  readonly expected: string
  readonly got: string
  readonly ms: number
}

declare module 'vitest' {
  interface TaskMeta {
    row?: Row
  }
}

const report = z.object({
  results: z.array(z.object({
    status: z.enum(['ok', 'failed', 'unknown']),
    duration_seconds: z.number(),
    failure: z.object({ layer: z.string(), reason: z.string(), code: z.string(), message: z.string() }).optional(),
    gauges: z.array(z.object({ name: z.string(), value: z.number(), labels: z.record(z.string(), z.string()).default({}) })),
  })).length(1),
})

type Result = z.output<typeof report>['results'][number]

/** One test a row: the fault is made, `curlew check -o json` looks at it, and what it says is held against what it should say. */
export function faultTable(group: string, rows: readonly Fault[]): void {
  // Not it.for: that cuts its titles off after forty characters, so that rows look alike and -t does not find them.
  for (const { fault, like, make, expected, undo } of rows) {
    it(`${fault}`, { timeout: 30_000 }, async ({ task }) => {
      const [wanted, began] = [inWords(expected), performance.now()]
      const say = (got: string, since: number) => { task.meta.row = { group, fault, like, expected: wanted, got, ms: performance.now() - since } }
      say('the fault could not be made', began)
      try {
        const trial = await make()
        const looked = performance.now()
        say('Curlew does not come to an end', looked)
        const got = await lookedAtWhileItRan(async () => judged(await look(trial), expected), (seen) => seen === wanted, (seen) => seen.includes('prober_starved'))
        say(got, looked)
        expect(got).toBe(wanted)
      } finally {
        await undo?.()
      }
    })
  }
}

/** Runs `curlew check -o json` on one target. */
async function look({ probe, wrap = [], env = {}, meanwhile }: Trial): Promise<Ran> {
  const asked = typeof probe === 'string' ? [probe] : ['-c', configOf(probe)]
  return runCurlew(['check', '-o', 'json', ...asked], { wrap, env, ...(meanwhile ? { meanwhile } : {}) })
}

function configOf(probe: Entry): string {
  const file = join(temporaryDirectory().path, 'curlew.yaml')
  writeFileSync(file, JSON.stringify({ probes: [{ name: 'fault', timeout: '2s', every: '1m', ...probe }] }))
  return file
}

/** What Curlew said, in the words of what was expected where that is the same. */
function judged({ code, stdout, stderr }: Ran, expected: Expected): string {
  if (expected.status === 'nothing' && stdout === '' && code === EXIT[expected.exit]) return inWords(expected)
  const read = report.safeParse(jsonOf(stdout))
  if (!read.success) return `exit ${code}: ${stderr.trim() || stdout.trim()}`
  const [result] = read.data.results
  if (!result) return 'no result'
  const wanted = 'levels' in expected ? Object.entries(expected.levels) : []
  const levels = wanted.map(([series, level]) => {
    const value = valueOf(result, series)
    return within(value, level) ? levelInWords(series, level) : `${series} ${value ?? 'absent'}`
  })
  const { status, failure } = result
  const said = [failure ? `${status} ${failure.layer}/${failure.reason} ${failure.code}` : status, ...levels].join(', ')
  return failure && said !== inWords(expected) ? `${said}: ${failure.message}` : said
}

function inWords(expected: Expected): string {
  if (expected.status === 'nothing') return `nothing is said, exit ${EXIT[expected.exit]}`
  const verdict = 'code' in expected ? `${expected.status} ${expected.layer}/${expected.reason} ${expected.code}` : expected.status
  return [verdict, ...Object.entries(expected.levels).map(([series, level]) => levelInWords(series, level))].join(', ')
}

function levelInWords(series: string, level: Levels[string]): string {
  return `${series} ${typeof level === 'number' ? level : level.join(' to ')}`
}

function within(value: number | undefined, level: Levels[string]): boolean {
  if (value === undefined) return false
  return typeof level === 'number' ? value === level : value >= level[0] && value <= level[1]
}

function valueOf({ duration_seconds, gauges }: Result, series: string): number | undefined {
  if (series === 'duration_seconds') return duration_seconds
  return gauges.find(({ name, labels }) => {
    const shown = Object.entries(labels).map(([label, text]) => `${label}="${text}"`).join(',')
    return series === (shown === '' ? name : `${name}{${shown}}`) || (series === name && shown === '')
  })?.value
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
