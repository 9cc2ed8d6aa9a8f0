import { z } from 'zod'

const MOST_PHASES = 20
const LAST_RUNS = 10
const MOST_NAMES = 5
/** Of a list that is read: far more than a Curlew writes. */
const MOST_ITEMS = 500

/** What Curlew knows of the probe that an alert is about. Times are ms since 1970. */
export interface Findings {
  readonly probe: string
  readonly target: string
  /** Of its config: where the target is, and where the prober. */
  readonly labels: { readonly cluster?: string | undefined, readonly source_cluster?: string | undefined }
  readonly status?: 'ok' | 'failed' | 'unknown'
  readonly failingSince?: number
  /** Of the last run, when that was not ok; else of the last failure that is remembered. */
  readonly failure?: {
    /** Not only those that are known here: another Curlew may be newer. */
    readonly layer: string
    readonly reason: string
    readonly code?: string
    readonly message?: string
    /** Start of the run that failed. */
    readonly at?: number
  }
  /** What it comes to, in one sentence: of the evidence where that was gathered for this failure, else what the code means. */
  readonly sentence?: { readonly en: string, readonly zh: string }
  /** Of the last run. */
  readonly ms?: number
  readonly phases: readonly { readonly name: string, readonly ms: number }[]
  /** The last ten at most, oldest first. */
  readonly runs: readonly ('ok' | 'failed' | 'unknown')[]
  readonly rootCause: boolean
  /** `<probe>/<target>`. */
  readonly explainedBy?: string
  /** How many others this one explains. */
  readonly explains: number
  /** Others that fail on the same layer; a few of their names. */
  readonly alike?: { readonly count: number, readonly names: readonly string[] }
}

/** A field that is not what is expected counts as absent: another Curlew may be older or newer, and most of it is better than none. */
const lenient = <T extends z.ZodType>(schema: T) => schema.optional().catch(undefined)
const text = (most: number) => z.string().transform((value) => value.slice(0, most).toWellFormed())
const name = text(300)
const time = z.string().transform((value) => Date.parse(value)).refine(Number.isFinite)
const count = z.number().int().min(0)
const list = <T extends z.ZodType>(item: T) => z.array(z.unknown()).transform((items) => items.slice(-MOST_ITEMS).flatMap((each) => {
  const parsed = item.safeParse(each)
  return parsed.success ? [parsed.data] : []
}))

const status = z.enum(['ok', 'failed', 'unknown'])
const sentence = z.looseObject({ en: text(1_000), zh: text(1_000) })
const failure = z.looseObject({ layer: text(40), reason: text(40), code: lenient(text(100)), message: lenient(text(1_000)), sentence: lenient(sentence.nullable()) })
const answer = z.looseObject({
  probe: z.looseObject({
    name,
    target: name,
    labels: lenient(z.object({ cluster: lenient(name), source_cluster: lenient(name) })),
    status: lenient(status.nullable()),
    failing_since: lenient(time),
    failure: lenient(failure),
    last_run: lenient(z.looseObject({
      started_at: lenient(time),
      duration_seconds: lenient(z.number().min(0)),
      phases: lenient(list(z.looseObject({ name: text(40), duration_seconds: z.number().min(0) }))),
    })),
    root_cause: lenient(z.boolean()),
    explained_by: lenient(name),
    explains: lenient(count),
    failing_alike: lenient(z.looseObject({ count, names: list(name) })),
    history: lenient(z.looseObject({
      runs: lenient(list(z.looseObject({ status }))),
      failures: lenient(list(z.looseObject({
        started_at: time,
        status: lenient(status),
        failure,
        evidence: lenient(z.looseObject({ failure: lenient(failure), sentence: lenient(sentence) })),
      }))),
    })),
  }),
})

/** Reads the JSON of `GET /api/v1/probes/lookup`; undefined when it names no probe. Everything in it is bounded. */
export function readFindings(json: unknown): Findings | undefined {
  const parsed = answer.safeParse(json)
  if (!parsed.success) return undefined
  const { probe } = parsed.data
  const failures = probe.history?.failures ?? []
  const lastFailed = failures.findLast((past) => past.status !== 'unknown')
  const current = probe.failure ?? lastFailed?.failure
  const at = probe.failure ? probe.last_run?.started_at : lastFailed?.started_at
  const since = probe.failing_since ?? 0
  // Evidence of an earlier outage, or of what it looked like before it changed, would be a wrong diagnosis.
  const evidence = failures.findLast((past) => past.started_at >= since && past.evidence?.sentence && past.evidence.failure?.code === current?.code)?.evidence
  const said = evidence?.sentence ?? current?.sentence
  const seconds = probe.last_run?.duration_seconds
  return {
    probe: probe.name,
    target: probe.target,
    labels: probe.labels ?? {},
    ...probe.status ? { status: probe.status } : {},
    ...probe.failing_since === undefined ? {} : { failingSince: probe.failing_since },
    ...current ? {
      failure: {
        layer: current.layer,
        reason: current.reason,
        ...current.code === undefined ? {} : { code: current.code },
        ...current.message === undefined ? {} : { message: current.message },
        ...at === undefined ? {} : { at },
      },
    } : {},
    ...said ? { sentence: { en: said.en, zh: said.zh } } : {},
    ...seconds === undefined ? {} : { ms: seconds * 1000 },
    phases: (probe.last_run?.phases ?? []).slice(0, MOST_PHASES).map((phase) => ({ name: phase.name, ms: phase.duration_seconds * 1000 })),
    runs: (probe.history?.runs ?? []).slice(-LAST_RUNS).map((run) => run.status),
    rootCause: probe.root_cause ?? false,
    ...probe.explained_by === undefined ? {} : { explainedBy: probe.explained_by },
    explains: probe.explains ?? 0,
    ...probe.failing_alike ? { alike: { count: probe.failing_alike.count, names: probe.failing_alike.names.slice(0, MOST_NAMES) } } : {},
  }
}
