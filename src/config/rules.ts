import { formatDuration } from '../core/fields.ts'
import type { Job, ProbeType } from '../core/probe.ts'
import { nextCronRuns } from '../core/schedule.ts'
import type { ConfigDocument } from './document.ts'
import type { EntryIssue } from './issues.ts'

/** One item of `probes:`; its jobs are empty when it has mistakes of its own. */
export interface Entry {
  readonly document: ConfigDocument
  readonly path: readonly PropertyKey[]
  readonly name: string | undefined
  /** Undefined where the type is none that is known. */
  readonly type: ProbeType | undefined
  /** The keys that stand in the entry itself, not in the defaults. */
  readonly keys: ReadonlySet<string>
  /** `depends_on` as written; undefined where it is not a plain text. */
  readonly dependsOn: readonly (string | undefined)[]
  readonly jobs: readonly Job[]
  /** Paths, in the entry, of secret options. */
  readonly secrets: readonly PropertyKey[][]
}

export interface CrossIssue {
  readonly entry: Entry
  readonly issue: EntryIssue
}

/** The rules between entries: unique names, dependencies that exist, no circles, what a type bounds. They hold even where single entries have mistakes. */
export function crossCheck(entries: readonly Entry[]): CrossIssue[] {
  return [...duplicates(entries), ...unknownDependencies(entries), ...circles(entries), ...tooOften(entries), ...tooMany(entries)]
}

/** How many runs of a cron expression are looked at: enough for two in one minute, at whatever time of the year. */
const CRON_RUNS = 5

function place({ document, path }: Entry): string {
  const { line } = document.locate(path)
  return `${document.file}:${line}`
}

function duplicates(entries: readonly Entry[]): CrossIssue[] {
  const first = new Map<string, Entry>()
  return entries.flatMap((entry) => {
    if (entry.name === undefined) return []
    const before = first.get(entry.name)
    if (before) return [{ entry, issue: { path: ['name'], message: `duplicate probe: ${entry.name} is already defined at ${place(before)}; expected a unique name` } }]
    first.set(entry.name, entry)
    return []
  })
}

function unknownDependencies(entries: readonly Entry[]): CrossIssue[] {
  const byName = new Map(entries.map((entry) => [entry.name, entry]))
  return entries.flatMap((entry) => entry.dependsOn.flatMap((text, index) => {
    if (text === undefined) return []
    const slash = text.indexOf('/')
    const name = slash < 0 ? text : text.slice(0, slash)
    const target = slash < 0 ? undefined : text.slice(slash + 1)
    const dependency = byName.get(name)
    const path = ['depends_on', index]
    if (!dependency) return [{ entry, issue: { path, message: `unknown dependency ${name}: expected the name of a probe of this config, or {probe: ${name}, remote: true}` } }]
    // Targets are known only when the entry itself is in order.
    if (target !== undefined && dependency.jobs.length > 0 && !dependency.jobs.some((job) => job.target === target)) {
      return [{ entry, issue: { path, message: `unknown dependency: ${name} has no target ${target}; expected one of ${dependency.jobs.slice(0, 5).map((job) => job.target).join(', ')}` } }]
    }
    return []
  }))
}

/** One issue per circle, at the first of its probes in the file. */
function circles(entries: readonly Entry[]): CrossIssue[] {
  const byName = new Map<string, Entry>()
  for (const entry of entries) if (entry.name !== undefined && !byName.has(entry.name)) byName.set(entry.name, entry)
  const done = new Set<string>()
  const found: CrossIssue[] = []

  for (const first of byName.keys()) {
    // From `first` to where the walk is. No recursion: a chain may be as long as the config.
    const trail: { readonly name: string, readonly rest: string[] }[] = []
    const open = new Set<string>()
    const enter = (name: string) => {
      if (done.has(name)) return
      open.add(name)
      trail.push({ name, rest: (byName.get(name)?.dependsOn ?? []).flatMap((text) => (text === undefined ? [] : [text.split('/')[0] ?? text])) })
    }
    enter(first)
    for (let top = trail.at(-1); top; top = trail.at(-1)) {
      const next = top.rest.shift()
      if (next === undefined) {
        trail.pop()
        open.delete(top.name)
        done.add(top.name)
      } else if (open.has(next)) {
        const circle = trail.slice(trail.findIndex(({ name }) => name === next)).map(({ name }) => name)
        const entry = entries.find((one) => one.name !== undefined && circle.includes(one.name))
        if (entry) found.push({ entry, issue: { path: ['depends_on'], message: `dependency circle: ${[...circle, next].join(' -> ')}` } })
      } else {
        enter(next)
      }
    }
  }
  return found
}

/** Runs that follow each other faster than the type allows. `check` is not held to it: it runs once. */
function tooOften(entries: readonly Entry[]): CrossIssue[] {
  return entries.flatMap((entry) => {
    const [job] = entry.jobs
    const shortest = entry.type?.bounds?.everyMs
    if (!job || shortest === undefined || gapMs(job) >= shortest) return []
    const message = `expected at least ${formatDuration(shortest)} between two runs of type ${job.type}`
    const [key] = ['every', 'cron'].filter((one) => entry.keys.has(one))
    return [{ entry, issue: key === undefined ? { path: [], message: `every (from defaults): ${message}` } : { path: [key], message } }]
  })
}

function gapMs({ schedule }: Job): number {
  if ('everyMs' in schedule) return schedule.everyMs
  const runs = nextCronRuns(schedule, CRON_RUNS)
  return Math.min(...runs.slice(1).map((run, index) => run - (runs[index] ?? run)))
}

/** One issue per type, at the first target that is too many. */
function tooMany(entries: readonly Entry[]): CrossIssue[] {
  return [...Map.groupBy(entries, ({ type }) => type)].flatMap(([type, mine]) => {
    const most = type?.bounds?.targets
    const targets = mine.flatMap((entry) => entry.jobs.map((_job, index) => ({ entry, path: entry.keys.has('targets') ? ['targets', index] : ['target'] })))
    const first = most === undefined ? undefined : targets[most]
    if (!type || !first) return []
    return [{ entry: first.entry, issue: { path: first.path, message: `expected at most ${most} targets of type ${type.type} in a config, there are ${targets.length}` } }]
  })
}
