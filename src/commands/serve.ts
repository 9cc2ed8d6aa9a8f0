import { once } from 'node:events'
import { parseDuration } from '../core/fields.ts'
import { startServer } from '../exporter/server.ts'
import { asksForLogin } from '../exporter/web-config.ts'
import { createLogger, LOG_LEVELS } from '../log.ts'
import { probeTypes } from '../probes/index.ts'
import { createRuntime } from '../runtime.ts'
import { findConfig } from './config-path.ts'
import { EXIT, readArgs, UsageError, type Io } from './usage.ts'

const OPTIONS = `  --web.listen-address ADDRESS           [host]:port, :9797 unless given
  --web.config.file FILE                 TLS, users and tokens, in exporter-toolkit's format
  --config.auto-reload-interval DURATION look for a changed config so often; SIGHUP and POST /-/reload always work
  --log.level LEVEL                      ${LOG_LEVELS.join(', ')}; info unless given
`

export const help = `Usage: curlew serve [options]

Probes on schedule and serves /metrics, /-/healthy, /-/ready, /api/v1/probes and a status page; where the config has a section
notify, takes alerts at /webhook/alertmanager as well.

  -c, --config PATH                      the config file or directory; without one, what this machine shows is probed
${OPTIONS}`

/** Of `curlew notify serve`. */
export const forwarderHelp = `Usage: curlew notify serve [options]

Takes alerts at /webhook/alertmanager and delivers them; probes nothing. Serves /metrics, /-/healthy and /-/ready as well.

  -c, --config PATH                      the config file or directory; it needs a section notify
${OPTIONS}`

const SHUTDOWN_MS = 3_000

/** `curlew serve`: runs until it is told to stop, then ends within its bound. Without `probing` only the section `notify` is in use. */
export async function serve(args: readonly string[], io: Io, probing = true): Promise<number> {
  const { values } = readArgs({
    args: [...args],
    options: {
      'config': { type: 'string', short: 'c' },
      'web.listen-address': { type: 'string', default: ':9797' },
      'web.config.file': { type: 'string' },
      'config.auto-reload-interval': { type: 'string' },
      'log.level': { type: 'string', default: 'info' },
    },
  })
  const level = LOG_LEVELS.find((known) => known === values['log.level'])
  if (!level) throw new UsageError(`--log.level: expected one of ${LOG_LEVELS.join(', ')}`)
  const listen = listenAddress(values['web.listen-address'])
  const reloadText = values['config.auto-reload-interval']
  const autoReloadMs = reloadText === undefined ? undefined : parseDuration(reloadText)
  if (reloadText !== undefined && autoReloadMs === undefined) throw new UsageError('--config.auto-reload-interval: expected a duration such as 30s')
  const configPath = findConfig(values.config, io)
  const log = createLogger(level)
  const webConfigFile = values['web.config.file']
  if (!probing && configPath === undefined) throw new UsageError('expected a config file with a section notify: name it with -c')

  const fatal = Promise.withResolvers<string>()
  const runtime = await createRuntime({
    configPath, autoReloadMs, probing, log,
    authenticated: webConfigFile !== undefined && asksForLogin(webConfigFile),
    stateDirectory: io.env['STATE_DIRECTORY'],
    onFatal: fatal.resolve,
  })
  io.onHangup(() => { if (runtime.ready()) void runtime.reload() }) // never rejects
  const server = await startServer({
    store: runtime.store,
    types: probeTypes,
    render: (format) => runtime.exposition.render(format),
    ready: runtime.ready,
    share: runtime.share,
    publicStatus: () => runtime.top()?.web.public_status ?? false,
    configText: runtime.configText,
    reload: runtime.reload,
    webhook: runtime.webhook,
    discovery: runtime.discovery,
    webConfigFile,
    log: (severity, message, fields) => log[severity](fields ?? {}, message),
  }, listen)
  const scheme = server.tls ? 'https' : 'http'
  const host = listen.host === undefined || ['0.0.0.0', '::'].includes(listen.host) ? '127.0.0.1' : listen.host.includes(':') ? `[${listen.host}]` : listen.host
  await runtime.start(`${scheme}://${host}:${server.port}/-/healthy`)
  log.info({ address: `${scheme}://${host}:${server.port}`, targets: runtime.store.size(), config: configPath ?? null }, 'serving')

  const stopped = io.signal.aborted ? undefined : once(io.signal, 'abort').then(() => undefined)
  const trouble = await Promise.race([stopped, fatal.promise])
  log.info('shutting down')
  await Promise.all([server.close(SHUTDOWN_MS), runtime.stop(SHUTDOWN_MS)])
  if (trouble !== undefined) throw new UsageError(trouble)
  return EXIT.ok
}

function listenAddress(text: string): { host: string | undefined, port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (!match || port > 65_535) throw new UsageError('--web.listen-address: expected [host]:port such as :9797, 127.0.0.1:9797 or [::1]:9797')
  return { host: match[1] ?? (match[2] === '' ? undefined : match[2]), port }
}
