import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Job } from '../core/probe.ts'
import { redact } from '../core/secrets.ts'
import { jsonReport } from '../report/json.ts'
import { junitReport } from '../report/junit.ts'
import { overall } from '../report/outcome.ts'
import { prettyReport } from '../report/pretty.ts'
import { runRound, type Outcome } from '../round.ts'
import { plan } from './plan.ts'
import { durationOf, languageOf, readTargets, schemeLines, TARGET_OPTIONS } from './targets.ts'
import { EXIT, readArgs, UsageError, type Io } from './usage.ts'

export const help = `Usage: curlew check [NAME|PROBE/TARGET|URL ...] [options]

Runs probes once, now: those named, or the whole config. URLs need no config, as in
redis://host, dns://server/name?type=A, mount:///data or redis+sentinel://h1,h2/name:
${schemeLines()}

  -c, --config PATH       the config file or directory
  -o, --output FORMAT     pretty (default), json or junit
  --wait DURATION         run again until all are ok, at most so long
  --plan                  run nothing: print what would be probed and why, what is found in clusters too
  --timeout DURATION      of URLs; 5s unless given
  --password-file FILE    password for URLs, as is the environment variable CURLEW_PASSWORD
  --lang LANGUAGE         en or zh; LANG's unless given

Exit code: 0 all ok, 1 a target failed, 2 bad usage or config, 3 nothing failed but something is unknown, or a
cluster could not be asked what is to be probed.
`

const FORMATS = ['pretty', 'json', 'junit'] as const
const RETRY_MS = 1_000

/** `curlew check`. */
export async function check(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = readArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      ...TARGET_OPTIONS,
      'output': { type: 'string', short: 'o', default: 'pretty' },
      'wait': { type: 'string' },
      'plan': { type: 'boolean', default: false },
    },
  })
  const format = FORMATS.find((known) => known === values.output)
  if (!format) throw new UsageError(`-o: expected one of ${FORMATS.join(', ')}`)
  if (values.plan) {
    if (format === 'junit') throw new UsageError('--plan: expected -o pretty or json')
    if (positionals.length > 0 || values.wait !== undefined) throw new UsageError('--plan: expected neither targets nor --wait, it is about the whole config')
    return await plan(values.config, format, io)
  }
  const waitMs = values.wait === undefined ? 0 : durationOf('--wait', values.wait)
  const language = languageOf(values.lang, io.env)
  const { jobs, incomplete, ...configured } = await readTargets(positionals, values, io)

  const once = randomUUID().slice(0, 8)
  const until = performance.now() + waitMs
  let outcomes = await round(jobs)
  let told = ''
  while (overall(outcomes) !== 'ok' && performance.now() < until && !io.signal.aborted) {
    const line = waitingFor(outcomes)
    if (line !== told) io.err(line)
    told = line
    await sleep(Math.min(RETRY_MS, Math.max(0, until - performance.now())), undefined, { signal: io.signal }).catch(() => {})
    if (!io.signal.aborted) outcomes = await round(jobs)
  }
  if (io.signal.aborted) {
    io.err('curlew: interrupted\n')
    return EXIT.interrupted
  }

  const reports = { pretty: () => prettyReport(outcomes, { color: io.color, language }), json: () => jsonReport(outcomes), junit: () => junitReport(outcomes) }
  io.out(reports[format]())
  const status = overall(outcomes)
  return EXIT[status === 'ok' && incomplete && positionals.length === 0 ? 'unknown' : status]

  function round(all: readonly Job[]): Promise<Outcome[]> {
    return runRound(all, { ...configured, signal: io.signal, once })
  }
}

const NAMED = 3

/** What is not ok yet, and at which layer: who reads the log of a pod that does not start sees it before the wait is over. */
function waitingFor(outcomes: readonly Outcome[]): string {
  const missing = outcomes.flatMap(({ job, result }) => (result.status === 'ok' ? [] : [`${job.name} ${job.target} (${result.failure.layer}/${result.failure.reason})`]))
  const more = missing.length > NAMED ? ` and ${missing.length - NAMED} more` : ''
  return redact(`curlew: ${outcomes.length - missing.length} of ${outcomes.length} ok, waiting for ${missing.slice(0, NAMED).join(', ')}${more}\n`)
}
