import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { nearest, readEntry } from '../config/jobs.ts'
import { parseDuration } from '../core/fields.ts'
import { jobName, type Job } from '../core/probe.ts'
import { parseTargetUrl, targetUrlText } from '../core/target-url.ts'
import { expanded } from '../each.ts'
import { discoverLocal, localCertificates, localListeners, localMounts } from '../discover/local.ts'
import { probeTypes } from '../probes/index.ts'
import { jsonReport } from '../report/json.ts'
import { junitReport } from '../report/junit.ts'
import { overall, type Language } from '../report/outcome.ts'
import { prettyReport } from '../report/pretty.ts'
import { runRound, type Outcome } from '../round.ts'
import { ConfigError, discoveredJobs, instanceId, loadChecked } from '../runtime.ts'
import { findConfig } from './config-path.ts'
import { EXIT, readArgs, UsageError, type Io } from './usage.ts'

export const help = `Usage: curlew check [NAME|PROBE/TARGET|URL ...] [options]

Runs probes once, now: those named, or the whole config. URLs need no config, as in
redis://host, dns://server/name?type=A, mount:///data or redis+sentinel://h1,h2/name:
${schemeLines()}

  -c, --config PATH       the config file or directory
  -o, --output FORMAT     pretty (default), json or junit
  --wait DURATION         run again until all are ok, at most so long
  --timeout DURATION      of URLs; 5s unless given
  --password-file FILE    password for URLs, as is the environment variable CURLEW_PASSWORD
  --lang LANGUAGE         en or zh; LANG's unless given

Exit code: 0 all ok, 1 a target failed, 2 bad usage or config, 3 nothing failed but something is unknown.
`

const FORMATS = ['pretty', 'json', 'junit'] as const
const RETRY_MS = 1_000

/** `curlew check`. */
export async function check(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = readArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      'config': { type: 'string', short: 'c' },
      'output': { type: 'string', short: 'o', default: 'pretty' },
      'wait': { type: 'string' },
      'timeout': { type: 'string', default: '5s' },
      'password-file': { type: 'string' },
      'lang': { type: 'string' },
    },
  })
  const format = FORMATS.find((known) => known === values.output)
  if (!format) throw new UsageError(`-o: expected one of ${FORMATS.join(', ')}`)
  const waitMs = values.wait === undefined ? 0 : durationOf('--wait', values.wait)
  const timeoutMs = durationOf('--timeout', values.timeout)
  const language = languageOf(values.lang, io.env)
  const password = passwordOf(values['password-file'], io.env)

  const urls = positionals.filter((word) => word.includes('://'))
  const names = positionals.filter((word) => !word.includes('://'))
  const configured = names.length > 0 || urls.length === 0 ? fromConfig(values.config, names, io) : undefined
  const unique = new Map<string, Job>()
  for (const job of [...configured?.jobs ?? [], ...urls.map((url) => fromUrl(url, timeoutMs, password))]) {
    const same = unique.get(job.id)
    if (same && same.fingerprint !== job.fingerprint) throw new UsageError(`two URLs are the target ${jobName(job)}, with other options: check them one after the other`)
    unique.set(job.id, job)
  }
  const jobs = await expanded([...unique.values()], io.signal)
  if (jobs.length === 0) throw new UsageError('nothing to probe')

  // A server of the same name, or another check, may write to the same target at this moment: sharing a key, each would
  // read what the other wrote, and blame the target.
  const instance = `${configured?.instance ?? instanceId(undefined)}:${randomUUID().slice(0, 8)}`
  const until = performance.now() + waitMs
  let outcomes = await round(jobs)
  while (overall(outcomes) !== 'ok' && performance.now() < until && !io.signal.aborted) {
    const good = outcomes.filter(({ result }) => result.status === 'ok').length
    io.err(`curlew: ${good} of ${jobs.length} ok, waiting\n`)
    await sleep(Math.min(RETRY_MS, Math.max(0, until - performance.now())), undefined, { signal: io.signal }).catch(() => {})
    if (!io.signal.aborted) outcomes = await round(jobs)
  }
  if (io.signal.aborted) {
    io.err('curlew: interrupted\n')
    return EXIT.interrupted
  }

  const reports = { pretty: () => prettyReport(outcomes, { color: io.color, language }), json: () => jsonReport(outcomes), junit: () => junitReport(outcomes) }
  io.out(reports[format]())
  return EXIT[overall(outcomes)]

  function round(all: readonly Job[]): Promise<Outcome[]> {
    return runRound(all, {
      signal: io.signal, instance,
      concurrency: configured?.concurrency ?? 50, lateBoundMs: configured?.lateBoundMs ?? 500,
    })
  }
}

function fromConfig(flag: string | undefined, names: readonly string[], io: Io) {
  const path = findConfig(flag, io)
  if (path === undefined) {
    if (names.length > 0) throw new UsageError(`${names.join(', ')}: there is no config file that could name it; name one with -c, or give a URL such as redis://host`)
    return { jobs: discoveredJobs(discoverLocal({ listeners: localListeners(), mounts: localMounts(), certificates: localCertificates(), ownUrl: undefined })), instance: instanceId(undefined), concurrency: 50, lateBoundMs: 500 }
  }
  const loaded = loadChecked(path)
  if (!loaded.config) throw new ConfigError(loaded.errors)
  const { jobs, top } = loaded.config
  return { jobs: names.length === 0 ? jobs : named(jobs, names), instance: instanceId(top), concurrency: top.limits.concurrency, lateBoundMs: top.limits.loop_delay }
}

function named(jobs: readonly Job[], names: readonly string[]): readonly Job[] {
  return names.flatMap((name) => {
    const mine = jobs.filter((job) => job.name === name || jobName(job) === name || job.id === name)
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

function durationOf(flag: string, text: string): number {
  const ms = parseDuration(text)
  if (ms === undefined) throw new UsageError(`${flag}: expected a duration such as 30s or 2m`)
  return ms
}

function languageOf(flag: string | undefined, env: NodeJS.ProcessEnv): Language {
  if (flag === 'en' || flag === 'zh') return flag
  if (flag !== undefined) throw new UsageError('--lang: expected en or zh')
  return (env['LC_ALL'] ?? env['LC_MESSAGES'] ?? env['LANG'] ?? '').startsWith('zh') ? 'zh' : 'en'
}

/** Every scheme that a type has, in lines of a terminal. */
function schemeLines(): string {
  return probeTypes.map(({ schemes }) => `  ${schemes.map((scheme) => `${scheme}://`).join(' ')}`).join('\n')
}
