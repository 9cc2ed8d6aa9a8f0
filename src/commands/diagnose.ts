import { randomUUID } from 'node:crypto'
import { createRouteMemory, walk } from '../diagnose/walk.ts'
import { stepLines, verdictLines } from '../report/diagnosis.ts'
import { overall } from '../report/outcome.ts'
import { runRound } from '../round.ts'
import { diagnosisSentence } from '../words/diagnosis.ts'
import { languageOf, readTargets, schemeLines, TARGET_OPTIONS } from './targets.ts'
import { EXIT, readArgs, UsageError, type Io } from './usage.ts'

export const help = `Usage: curlew diagnose NAME|PROBE/TARGET|URL ... [options]

Walks the layers below a target as a person on call would: every name server, a ping, TCP to
every address, the route where those leave a doubt, TLS with its certificates, the login, the
operation. Shows each step as it happens, the first that breaks, and where to look. URLs as in
curlew check:
${schemeLines()}

  -c, --config PATH       the config file or directory
  -o, --output FORMAT     pretty (default) or json
  --timeout DURATION      of URLs; 5s unless given
  --password-file FILE    password for URLs, as is the environment variable CURLEW_PASSWORD
  --lang LANGUAGE         en or zh; LANG's unless given

Exit code: 0 all ok, 1 a target failed, 2 bad usage or config, 3 nothing failed but something is unknown.
`

const FORMATS = ['pretty', 'json'] as const

/** `curlew diagnose`. */
export async function diagnose(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = readArgs({ args: [...args], allowPositionals: true, options: { ...TARGET_OPTIONS, output: { type: 'string', short: 'o', default: 'pretty' } } })
  const format = FORMATS.find((known) => known === values.output)
  if (!format) throw new UsageError(`-o: expected one of ${FORMATS.join(', ')}`)
  if (positionals.length === 0) throw new UsageError('expected the name of a probe, or a URL such as redis://host')
  const look = { color: io.color, language: languageOf(values.lang, io.env) }
  const { jobs, ...configured } = await readTargets(positionals, values, io)
  const once = randomUUID().slice(0, 8)
  const routes = createRouteMemory()

  const diagnoses = []
  for (const job of jobs) {
    if (format === 'pretty') io.out(`${diagnoses.length > 0 ? '\n' : ''}${job.name} ${job.target}\n`)
    try {
      const diagnosis = await walk(job, {
        signal: io.signal, routes,
        async run() {
          const [outcome] = await runRound([job], { ...configured, signal: io.signal, once })
          io.signal.throwIfAborted()
          if (!outcome) throw new Error(`${job.name} did not run`)
          return outcome.result
        },
        onStep: (step) => { if (format === 'pretty') io.out(stepLines(step, look)) },
      })
      diagnoses.push({ ...diagnosis, sentence: { en: diagnosisSentence(diagnosis, job.codes, 'en'), zh: diagnosisSentence(diagnosis, job.codes, 'zh') } })
      if (format === 'pretty') io.out(verdictLines(diagnosis.broken, diagnosisSentence(diagnosis, job.codes, look.language), look))
    } catch (error) {
      if (!io.signal.aborted) throw error
      io.err('curlew: interrupted\n')
      return EXIT.interrupted
    }
  }
  const status = overall(diagnoses.map((diagnosis) => ({ result: diagnosis })))
  if (format === 'json') io.out(`${JSON.stringify({ schema_version: 1, status, diagnoses }, null, 2)}\n`)
  return EXIT[status]
}
