import { createHash } from 'node:crypto'
import { isIP } from 'node:net'
import { z } from 'zod'
import { nearest } from '../core/nearest.ts'
import type { Dependency, Job, Limit, ProbeType, Target } from '../core/probe.ts'
import { Secret } from '../core/secrets.ts'
import { parseTargetUrl } from '../core/target-url.ts'
import { wayTo, type Reached } from '../core/way.ts'
import { flatten, type EntryIssue } from './issues.ts'
import { commonShape, type Common } from './schema.ts'

/** The first 12 hex digits of SHA-256(probe, NUL, canonical target). */
export function jobId(name: string, target: string): string {
  return createHash('sha256').update(`${name}\0${target}`).digest('hex').slice(0, 12)
}

/**
 * A target as text, read into raw options: a URL of one of the type's schemes sets more than the target.
 * Throws an Error with a sentence when the URL is not one.
 */
export function readTarget(type: ProbeType, text: string): Record<string, unknown> {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase()
  if (scheme === undefined) return { target: text }
  const schemes = [...type.targetSchemes ?? [], ...type.schemes]
  if (!schemes.includes(scheme)) throw new Error(`expected a target of type ${type.type}${schemes.length > 0 ? ` (${schemes.map((s) => `${s}://`).join(', ')})` : ''}, not ${scheme}://`)
  const parsed = parseTargetUrl(text, type.severalHosts)
  if (!parsed) throw new Error(`expected a URL such as ${scheme}://host`)
  return type.fromUrl(parsed.url, parsed.hosts)
}

const DEFAULT_EVERY_MS = 30_000
const DEFAULT_TIMEOUT_MS = 5_000
const MINUTE_MS = 60_000

/** What every type's options parse to, as far as a job is concerned. */
interface Options extends Reached {
  readonly target: Target
  readonly addresses?: unknown
}

/** Builds the job of one entry and one target from options that the type's schema has parsed; `raw` is what it parsed. */
function buildJob(type: ProbeType, common: Common, options: Options, raw: object, discovered: boolean): Job {
  const target = String(options.target)
  const schedule = common.cron !== undefined
    ? { cron: common.cron, timezone: common.timezone, runAtStart: common.run_at_start ?? true }
    : { everyMs: common.every ?? defaultEveryMs(type) }
  const slow = !('everyMs' in schedule) || schedule.everyMs > MINUTE_MS
  const about = {
    id: jobId(common.name, target),
    type: type.type,
    name: common.name,
    target,
    host: options.target.host,
    labels: common.labels,
    schedule,
    timeoutMs: common.timeout ?? ('everyMs' in schedule ? Math.min(DEFAULT_TIMEOUT_MS, schedule.everyMs) : DEFAULT_TIMEOUT_MS),
    failureThreshold: common.failure_threshold ?? (slow ? 1 : 3),
    successThreshold: common.success_threshold ?? 1,
    dependsOn: common.depends_on.map(dependency),
    mode: common.mode ?? 'read-write' as const,
    limits: limits(type, common),
    histogram: common.histogram ?? false,
    discovered,
  }
  return {
    ...about,
    phases: type.phases,
    codes: type.codes,
    each: eachOf(options, (pinned) => buildJob(type, common, pinned, { ...raw, target }, discovered)),
    // Of the raw options: a changed password or query counts too, and only the hash is kept.
    fingerprint: createHash('sha256').update(JSON.stringify([about, raw])).digest('hex'),
    load: type.load && (() => type.load?.(options as never)), // safe: the caller parsed `options` with `type.options`
    ways: () => type.ways?.(options as never) ?? wayTo(options), // safe: the caller parsed `options` with `type.options`
    run: (probe) => type.run(options as never, probe), // safe: the caller parsed `options` with `type.options`
    release: () => type.release?.(options as never), // safe: as above
  }
}

function defaultEveryMs(type: ProbeType): number {
  return Math.max(type.everyMs ?? DEFAULT_EVERY_MS, type.bounds?.everyMs ?? 0)
}

/** How to make the jobs of single addresses, where the options ask for them and the host is a name. */
function eachOf(options: Options, build: (pinned: Options) => Job): Job['each'] {
  const { target, addresses, ip_protocol: wanted } = options
  const { host } = target
  if (addresses !== 'each' || host === undefined || isIP(host) !== 0 || !target.at || target.ip !== undefined) return undefined
  return {
    host,
    ipProtocol: wanted ?? 'any',
    at: (ip) => build({ ...options, target: target.at?.(ip) ?? target }),
  }
}

function dependency(entry: Common['depends_on'][number]): Dependency {
  const { probe: text, remote } = typeof entry === 'string' ? { probe: entry, remote: false } : entry
  const slash = text.indexOf('/')
  return slash < 0 ? { probe: text, remote } : { probe: text.slice(0, slash), target: text.slice(slash + 1), remote }
}

function limits(type: ProbeType, common: Common): readonly Limit[] {
  return Object.entries(common.limits).flatMap(([name, { warning, critical }]) => {
    const spec = levelsOf(type)[name]
    if (!spec) return []
    return [{ name, ...spec, ...(warning === undefined ? {} : { warning }), ...(critical === undefined ? {} : { critical }), fails: common.fail_on.includes(name) }]
  })
}

/** The levels that a limit can be set on: `duration` for every type, and the type's own. */
export function levelsOf(type: ProbeType): NonNullable<ProbeType['levels']> {
  return { duration: { gauge: 'probe_duration_seconds', worse: 'above' }, ...type.levels }
}

const common = z.object(commonShape)

/**
 * Reads one entry of a known type into its jobs. `entry` is the mapping as it stands in the file, substituted, with the
 * defaults merged in. Every mistake is returned with its path in the entry; `secrets` are the paths of secret options.
 */
export function readEntry(type: ProbeType, entry: Readonly<Record<string, unknown>>, discovered = false): { jobs: Job[], issues: EntryIssue[], secrets: PropertyKey[][] } {
  const { type: _type, target, targets, ...rest } = entry
  const optionKeys = Object.keys(type.options.shape)
  const commonRaw = Object.fromEntries(Object.entries(rest).filter(([key]) => Object.hasOwn(commonShape, key)))
  const optionsRaw = Object.fromEntries(Object.entries(rest).filter(([key]) => optionKeys.includes(key)))
  const issues: EntryIssue[] = []

  for (const key of Object.keys(rest)) {
    if (!Object.hasOwn(commonShape, key) && !optionKeys.includes(key)) {
      issues.push({ path: [key], atKey: true, message: `unknown key for type ${type.type}${nearest(key, [...Object.keys(commonShape), ...optionKeys, 'type', 'targets'])}` })
    }
  }
  const read = common.safeParse(commonRaw)
  if (!read.success) issues.push(...read.error.issues.flatMap(flatten))

  const places: { text: unknown, path: readonly PropertyKey[] }[] = []
  if (target !== undefined && targets !== undefined) issues.push({ path: ['targets'], message: 'expected either target or targets' })
  else if (Array.isArray(targets)) places.push(...targets.map((text: unknown, index) => ({ text, path: ['targets', index] })))
  else if (targets !== undefined) issues.push({ path: ['targets'], message: 'expected a list of targets' })
  else if (target !== undefined) places.push({ text: target, path: ['target'] })
  else if (type.defaultTargets) places.push(...type.defaultTargets().map((text) => ({ text, path: [] })))
  if (places.length === 0 && targets === undefined && target === undefined) issues.push({ path: [], message: `expected target or targets` })
  else if (Array.isArray(targets) && targets.length === 0) issues.push({ path: ['targets'], message: 'expected at least one target' })

  const parsed: { options: Options, raw: object, path: readonly PropertyKey[] }[] = []
  const seen = new Set<string>()
  for (const { text, path } of places) {
    if (typeof text !== 'string') {
      issues.push({ path, message: 'expected a text' })
      continue
    }
    let overlay: Record<string, unknown>
    try {
      overlay = readTarget(type, text)
    } catch (error) {
      issues.push({ path, message: error instanceof Error ? error.message : String(error) })
      continue
    }
    const raw = { ...overlay, ...optionsRaw, target: overlay['target'] }
    const result = type.options.safeParse(raw)
    if (result.success) {
      parsed.push({ options: result.data, raw, path })
      continue
    }
    for (const issue of result.error.issues.flatMap(flatten)) {
      // A mistake in what the target's URL set stands at the target; a missing key at the entry.
      const own = !(String(issue.path[0]) in optionsRaw) && String(issue.path[0]) in overlay
      const at = issue.path[0] === 'target' ? { ...issue, path } : own ? { path, message: `${issue.path.map(String).join('.')}: ${issue.message}` } : issue
      const key = JSON.stringify([at.path.map(String), at.message])
      if (!seen.has(key)) issues.push(at)
      seen.add(key)
    }
  }

  const levels = levelsOf(type)
  if (read.success) {
    for (const name of Object.keys(read.data.limits)) {
      if (!Object.hasOwn(levels, name)) issues.push({ path: ['limits', name], message: `expected one of ${Object.keys(levels).join(', ')}` })
    }
    for (const [index, name] of read.data.fail_on.entries()) {
      if (!Object.hasOwn(read.data.limits, name)) issues.push({ path: ['fail_on', index], message: 'expected the name of a limit that is set under limits' })
    }
    const { every, timeout, cron } = read.data
    if (every !== undefined && cron !== undefined && 'every' in rest && 'cron' in rest) issues.push({ path: ['cron'], message: 'expected either every or cron' })
    if (timeout !== undefined && cron === undefined && timeout > (every ?? defaultEveryMs(type))) {
      issues.push({ path: ['timeout'], message: `expected at most every, ${(every ?? defaultEveryMs(type)) / 1000} s` })
    }
  }
  if (issues.length > 0 || !read.success) return { jobs: [], issues, secrets: [] }

  const jobs = new Map<string, Job>()
  for (const { options, raw, path } of parsed) {
    const job = buildJob(type, read.data, options, raw, discovered)
    if (jobs.has(job.id)) issues.push({ path, message: `duplicate target: another one of this probe is ${job.target} too` })
    jobs.set(job.id, job)
  }
  return { jobs: [...jobs.values()], issues, secrets: parsed.flatMap(({ options }) => secretPaths(options)) }
}

/** Where secrets stand in what a schema has parsed. */
export function secretPaths(value: unknown, path: PropertyKey[] = []): PropertyKey[][] {
  if (value instanceof Secret) return [path]
  if (typeof value !== 'object' || value === null || !(Array.isArray(value) || value.constructor === Object)) return []
  return Object.entries(value).flatMap(([key, inner]) => secretPaths(inner, [...path, key]))
}
