import { setImmediate as nextTurn } from 'node:timers/promises'
import { canonicalHost } from '../../core/fields.ts'
import { apart } from '../../core/secrets.ts'
import type { Job, ProbeType } from '../../core/probe.ts'
import type { FoundEntry } from '../local.ts'
import type { Login } from './logins.ts'
import type { Found } from './source.ts'

/** An entry read as the config's are: its jobs, or what is wrong with it. */
export interface ReadEntry {
  readonly jobs: readonly Job[]
  readonly issues: readonly { readonly path: readonly PropertyKey[], readonly message: string }[]
  /** Options that the target itself sets, as a URL does. */
  readonly fromTarget: readonly string[]
}

export type Reader = (entry: FoundEntry) => ReadEntry

/** Why nothing became of it. */
export type Outcome = { readonly jobs: readonly Job[] } | { readonly problem: string }

/** What is added to a found entry before it is read. */
export interface Added {
  /** In place of the entry's own. */
  readonly labels: Readonly<Record<string, string>>
  readonly dependsOn: readonly string[]
  readonly login: Extract<Login, { state: 'known' }> | undefined
}

/** So many entries are read before other work gets its turn. */
const AT_A_TIME = 25
const LONGEST_PROBLEM = 300

export interface Entries {
  /** Begins a round: what it does not ask for is forgotten at the next one. */
  begin(): void
  /** Reads an entry, or remembers what it came to. */
  read(found: Found, added: Added): Promise<Outcome>
}

/** Reads entries and remembers what they came to for as long as they are found: ten thousand of them take a second. */
export function createEntries(read: Reader, types: ReadonlyMap<string, ProbeType>): Entries {
  const keys = new WeakMap<Found, string>()
  let before = new Map<string, Outcome>()
  let now = new Map<string, Outcome>()
  let since = 0

  function keyOf(found: Found, { labels, dependsOn, login }: Added): string {
    const own = keys.get(found) ?? JSON.stringify([found.entry, found.node, found.zone, found.hosts, found.allowed, found.guard, found.revision])
    keys.set(found, own)
    return JSON.stringify([labels, dependsOn, login?.version]) + own
  }

  return {
    begin() {
      before = now
      now = new Map()
    },
    async read(found, added) {
      const key = keyOf(found, added)
      const known = now.get(key) ?? before.get(key)
      const outcome = known ?? outcomeOf(found, added, read, types.get(found.entry.type))
      now.set(key, outcome)
      if (!known && ++since % AT_A_TIME === 0) await nextTurn()
      return outcome
    },
  }
}

function outcomeOf(found: Found, { labels, dependsOn, login }: Added, read: Reader, type: ProbeType | undefined): Outcome {
  if (!type) return { problem: `there is no probe type ${found.entry.type}` }
  const credentials = login ? loginFields(type, login) : {}
  if (!credentials) return { problem: `the probe type ${type.type} logs in nowhere` }
  const entry: FoundEntry = { ...found.entry, ...credentials, labels, ...(dependsOn.length === 0 ? {} : { depends_on: dependsOn }) }
  // What a rule's own probe holds is the config's, and known already.
  const { made: { jobs, issues, fromTarget }, hide } = login ? apart(() => read(entry)) : { made: read(entry), hide: undefined }
  const [issue] = issues
  if (issue) return { problem: [issue.path.map(String).join('.'), hide?.(issue.message) ?? issue.message].filter((part) => part !== '').join(': ').slice(0, LONGEST_PROBLEM) }
  const foreign = fromTarget.find((option) => option !== 'target' && found.allowed !== undefined && !found.allowed.includes(option))
  if (foreign !== undefined) return { problem: `target: it sets ${foreign}, which discovery.allow does not name` }
  const elsewhere = jobs.some((job) => !reachesOnly(job, found.hosts))
  if (elsewhere) return { problem: 'target: it leads to another host than the object\'s' }
  if (jobs.some((job) => job.each)) return { problem: 'addresses: each is for probes of the config; the role endpointslice finds every address' }
  const soonest = type.bounds?.everyMs ?? 0
  if (jobs.some(({ schedule }) => 'everyMs' in schedule && schedule.everyMs < soonest)) return { problem: `every: expected at least ${soonest / 1000} s for the type ${type.type}` }
  const { node, zone, guard, revision } = found
  return { jobs: jobs.map((job) => ({ ...job, node, zone, guard, hide, ...revision === undefined ? {} : { fingerprint: `${job.fingerprint} ${revision}` } })) }
}

function reachesOnly(job: Job, hosts: readonly string[] | undefined): boolean {
  if (!hosts) return true
  const own = new Set(hosts.map((host) => canonicalHost(host)))
  return job.host !== undefined && [job.host, ...job.ways().map(({ host }) => host)].every((host) => own.has(canonicalHost(host)))
}

function loginFields(type: ProbeType, { username, password }: Extract<Login, { state: 'known' }>): Record<string, unknown> | undefined {
  const has = (option: string) => Object.hasOwn(type.options.shape, option)
  if (has('password')) return { ...(username === undefined || !has('username') ? {} : { username }), password: password.reveal() }
  return has('basic_auth') ? { basic_auth: { username: username ?? '', password: password.reveal() } } : undefined
}
