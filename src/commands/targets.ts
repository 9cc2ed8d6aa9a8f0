import { readFileSync } from 'node:fs'
import { ConfigError, instanceId, loadChecked } from '../checked.ts'
import { readEntry } from '../config/jobs.ts'
import { parseDuration } from '../core/fields.ts'
import { nearest } from '../core/nearest.ts'
import { jobName, type Job } from '../core/probe.ts'
import { parseTargetUrl, targetUrlText } from '../core/target-url.ts'
import { discoverLocal, localCertificates, localListeners, localMounts } from '../discover/local.ts'
import { discoveredJobs } from '../discovering.ts'
import { expanded } from '../each.ts'
import { probeTypes } from '../probes/index.ts'
import type { Language } from '../words/language.ts'
import { findConfig } from './config-path.ts'
import { lookOnce } from './plan.ts'
import { UsageError, type Io } from './usage.ts'

/** Options of every command that is told targets. */
export const TARGET_OPTIONS = {
  'config': { type: 'string', short: 'c' },
  'timeout': { type: 'string', default: '5s' },
  'password-file': { type: 'string' },
  'lang': { type: 'string' },
} as const

export interface Targets {
  readonly jobs: readonly Job[]
  readonly instance: string
  readonly concurrency: number
  readonly lateBoundMs: number
  /** A cluster could not be asked what is to be probed in it. */
  readonly incomplete: boolean
}

const USUAL = { concurrency: 50, lateBoundMs: 500, incomplete: false } as const

/**
 * The jobs of names (of a probe, `probe/target`, an id) and URLs; without any, those of the config or of what this machine
 * shows. Throws UsageError or ConfigError with a sentence.
 */
export async function readTargets(words: readonly string[], options: { readonly config?: string | undefined, readonly timeout: string, readonly 'password-file'?: string | undefined }, io: Io): Promise<Targets> {
  const timeoutMs = durationOf('--timeout', options.timeout)
  const password = passwordOf(options['password-file'], io.env)
  const urls = words.filter((word) => word.includes('://'))
  const names = words.filter((word) => !word.includes('://'))
  const configured = names.length > 0 || urls.length === 0 ? await fromConfig(options.config, names, io) : { ...USUAL, jobs: [], instance: instanceId(undefined) }
  const unique = new Map<string, Job>()
  for (const job of [...configured.jobs, ...urls.map((url) => fromUrl(url, timeoutMs, password))]) {
    const same = unique.get(job.id)
    if (same && same.fingerprint !== job.fingerprint) throw new UsageError(`two URLs are the target ${jobName(job)}, with other options: check them one after the other`)
    unique.set(job.id, job)
  }
  const jobs = await expanded([...unique.values()], io.signal)
  if (jobs.length === 0) throw new UsageError('nothing to probe')
  return { ...configured, jobs }
}

async function fromConfig(flag: string | undefined, names: readonly string[], io: Io): Promise<Targets> {
  const path = findConfig(flag, io)
  if (path === undefined) {
    if (names.length > 0) throw new UsageError(`${names.join(', ')}: there is no config file that could name it; name one with -c, or give a URL such as redis://host`)
    return { ...USUAL, jobs: discoveredJobs(discoverLocal({ listeners: localListeners(), mounts: localMounts(), certificates: localCertificates(), ownUrl: undefined })), instance: instanceId(undefined) }
  }
  // Whether its webhook is open is no matter of a single round.
  const loaded = await loadChecked(path, true)
  if (!loaded.config) throw new ConfigError(loaded.errors)
  const { top } = loaded.config
  const own = loaded.config.jobs
  // Clusters are asked for what the config itself cannot say.
  const { chosen, unasked } = names.length > 0 && names.every((name) => own.some((job) => isNamed(job, name))) ? { chosen: [], unasked: [] } : await lookOnce(loaded.config, io)
  const jobs = [...own, ...chosen.map(({ job }) => job)]
  return { jobs: names.length === 0 ? jobs : named(jobs, names), incomplete: unasked.length > 0, instance: instanceId(top), concurrency: top.limits.concurrency, lateBoundMs: top.limits.loop_delay }
}

function isNamed(job: Job, name: string): boolean {
  return job.name === name || jobName(job) === name || job.id === name
}

function named(jobs: readonly Job[], names: readonly string[]): readonly Job[] {
  return names.flatMap((name) => {
    const mine = jobs.filter((job) => isNamed(job, name))
    if (mine.length > 0) return mine
    const known = [...new Set(jobs.map((job) => job.name))]
    throw new UsageError(`${name}: no probe of that name${nearest(name, known)}; expected one of ${known.slice(0, 20).join(', ')}, or a URL such as redis://host`)
  })
}

function fromUrl(text: string, timeoutMs: number, password: string | undefined): Job {
  const scheme = text.slice(0, text.indexOf('://')).toLowerCase()
  const type = probeTypes.find(({ schemes }) => schemes.includes(scheme))
  const known = probeTypes.flatMap(({ schemes }) => schemes)
  if (!type) throw new UsageError(`${scheme}://: expected one of ${known.map((one) => `${one}://`).join(' ')}${nearest(scheme, known)}`)
  const parsed = parseTargetUrl(text, type.severalHosts)
  if (!parsed) throw new UsageError(`${scheme}://…: expected a URL such as ${scheme}://host`)
  const { url, hosts } = parsed
  const every = Math.max(timeoutMs, 30_000)
  const entryOf = (target: string, more: Record<string, unknown> = {}) => readEntry(type, { name: type.type, type: type.type, target, timeout: `${timeoutMs}ms`, every: `${every}ms`, ...more })
  // Userinfo or a query key: whatever the type takes for a secret is one.
  if (url.password !== '' || entryOf(text).secrets.length > 0) {
    throw new UsageError(`${scheme}://${url.hostname}: a password in a URL can be seen by every user of this machine: put it into CURLEW_PASSWORD or --password-file`)
  }
  if (password !== undefined && (url.username !== '' || 'password' in type.options.shape)) url.password = encodeURIComponent(password)
  // A URL without a host, as of a file, cannot carry one.
  const beside = password !== undefined && url.host === '' && 'password' in type.options.shape
  const { jobs: [job], issues } = entryOf(targetUrlText(parsed), beside ? { password } : {})
  if (!job) throw new UsageError(`${scheme}://${hosts.join(',')}: ${issues.map(({ path, message }) => [path.map(String).join('.'), message].filter(Boolean).join(': ')).join('; ')}`)
  return job
}

function passwordOf(file: string | undefined, env: NodeJS.ProcessEnv): string | undefined {
  if (file === undefined) return env['CURLEW_PASSWORD']
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    throw new UsageError(`--password-file ${file}: expected a readable file (${error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'})`)
  }
}

/** A duration given as an option. */
export function durationOf(flag: string, text: string): number {
  const ms = parseDuration(text)
  if (ms === undefined) throw new UsageError(`${flag}: expected a duration such as 30s or 2m`)
  return ms
}

/** The language of the reader: the option, else the locale. */
export function languageOf(flag: string | undefined, env: NodeJS.ProcessEnv): Language {
  if (flag === 'en' || flag === 'zh') return flag
  if (flag !== undefined) throw new UsageError('--lang: expected en or zh')
  // Empty is as good as unset (POSIX).
  return (env['LC_ALL'] || env['LC_MESSAGES'] || env['LANG'] || '').startsWith('zh') ? 'zh' : 'en'
}

/** Every scheme that a type has, in lines of a terminal. */
export function schemeLines(): string {
  return probeTypes.filter(({ schemes }) => schemes.length > 0).map(({ schemes }) => `  ${schemes.map((scheme) => `${scheme}://`).join(' ')}`).join('\n')
}
