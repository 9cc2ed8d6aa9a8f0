import { loadChecked, seriesCount } from '../checked.ts'
import { asksForLogin, checkWebConfig } from '../exporter/web-config.ts'
import { findConfig } from './config-path.ts'
import { counted, EXIT, readArgs, UsageError, type Io } from './usage.ts'

export const help = `Usage: curlew validate [-c FILE|DIRECTORY] [--web.config.file FILE] [--cardinality]

Prints every mistake of the config as file:line:column: path: what was expected, and exits 2 if there is one.

  -c, --config PATH        the config file, or a directory whose *.yaml files are read as one
  --web.config.file FILE   a web-config file to check as well; with logins in it the webhook needs no token
  --cardinality            print how many series each probe makes
`

/** `curlew validate`. */
export async function validate(args: readonly string[], io: Io): Promise<number> {
  const { values } = readArgs({
    args: [...args],
    options: { 'config': { type: 'string', short: 'c' }, 'web.config.file': { type: 'string' }, 'cardinality': { type: 'boolean', default: false } },
  })
  const path = findConfig(values.config, io)
  const webFile = values['web.config.file']
  if (path === undefined && webFile === undefined) throw new UsageError('nothing to validate: name a config file with -c')

  const loaded = path === undefined ? undefined : await loadChecked(path, webFile !== undefined && asksForLogin(webFile))
  const mistakes = [...loaded && !loaded.config ? loaded.errors : [], ...webFile === undefined ? [] : checkWebConfig(webFile)]
  for (const line of mistakes) io.out(`${line}\n`)
  if (mistakes.length > 0) {
    io.err(`curlew: ${counted(mistakes.length, 'mistake')}\n`)
    return EXIT.usage
  }

  const jobs = loaded?.config?.jobs ?? []
  if (values.cardinality) {
    const byProbe = Map.groupBy(jobs, (job) => job.name)
    for (const [name, mine] of byProbe) io.out(`${name}: ${counted(mine.length, 'target')}, ${seriesCount(mine)} series\n`)
    io.out(`total: ${counted(jobs.length, 'target')}, ${seriesCount(jobs)} series\n`)
  } else if (loaded) {
    const notify = loaded.config?.notify
    const chats = notify ? `, ${counted(notify.channels.length, 'channel')}, ${counted(notify.routes.length, 'route')}` : ''
    const found = loaded.config?.top.discovery?.kubernetes ? ', and what is found in clusters (curlew check --plan)' : ''
    io.out(`${path}: ok, ${counted(new Set(jobs.map((job) => job.name)).size, 'probe')}, ${counted(jobs.length, 'target')}${chats}${found}\n`)
  }
  if (webFile !== undefined) io.out(`${webFile}: ok\n`)
  return EXIT.ok
}
