import { setImmediate as nextTurn } from 'node:timers/promises'
import { EXIT, UsageError, type Io } from './commands/usage.ts'
import { redact } from './core/secrets.ts'
import { VERSION } from './core/version.ts'

interface Command {
  readonly summary: string
  /** Loaded only when it is run: `curlew schema` needs no Redis client. */
  /** With `subcommands` it answers `NAME --help` itself. */
  load(): Promise<{ readonly help: string, readonly subcommands?: true, run(args: readonly string[], io: Io): Promise<number> }>
}

const COMMANDS: Readonly<Record<string, Command>> = {
  serve: { summary: 'probe on schedule and serve the metrics', load: async () => { const { help, serve } = await import('./commands/serve.ts'); return { help, run: serve } } },
  check: { summary: 'run probes once, now', load: async () => { const { help, check } = await import('./commands/check.ts'); return { help, run: check } } },
  diagnose: { summary: 'walk the layers below a target, and say where it breaks', load: async () => { const { help, diagnose } = await import('./commands/diagnose.ts'); return { help, run: diagnose } } },
  notify: { summary: 'forward alerts to chat: serve, preview, lint, test, dead', load: async () => { const { help, notify } = await import('./commands/notify.ts'); return { help, subcommands: true, run: notify } } },
  validate: { summary: 'print every mistake of a config', load: async () => { const { help, validate } = await import('./commands/validate.ts'); return { help, run: validate } } },
  alerts: { summary: 'print the alert rules, with your thresholds', load: async () => { const { help, alerts } = await import('./commands/alerts.ts'); return { help, run: alerts } } },
  schema: { summary: 'print the JSON Schema of the config', load: async () => { const { help, schema } = await import('./commands/schema.ts'); return { help, run: schema } } },
}

const HELP = `Curlew says which layer of a dependency broke, and why.

Usage: curlew COMMAND [options]

${Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`).join('\n')}

curlew COMMAND --help tells more. curlew --version prints the version.
`

/** Runs the command line and ends the process with its exit code: the only place that does. */
export async function main(argv: readonly string[]): Promise<never> {
  const stop = new AbortController()
  const hangups: (() => void)[] = []
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    // A second signal is for a person who does not want to wait.
    process.on(signal, () => (stop.signal.aborted ? process.exit(EXIT.interrupted) : stop.abort()))
  }
  // Raised in a callback, where no probe and no command can catch it: no target is to blame, and no secret is to be printed.
  process.on('uncaughtException', (error) => process.exit(explain(error, argv[0] ?? '', { err: (text) => void process.stderr.write(text) })))
  process.on('SIGHUP', () => (hangups.length > 0 ? hangups.forEach((listener) => listener()) : stop.abort()))
  const io: Io = {
    env: process.env,
    color: process.stdout.isTTY && !process.env['NO_COLOR'],
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    signal: stop.signal,
    onHangup: (listener) => hangups.push(listener),
  }
  for (const stream of [process.stdout, process.stderr]) {
    // A reader that has seen enough (`curlew schema | head`) is no error, and what was found out still is the exit code.
    stream.on('error', (error: Error) => { if (!('code' in error && error.code === 'EPIPE')) process.exit(EXIT.failed) })
  }
  const code = await run(argv, io)
  // What is written to a pipe is written asynchronously; the exit would cut it off.
  for (const stream of [process.stdout, process.stderr]) if (stream.writableLength > 0) await new Promise((resolve) => stream.write('', resolve))
  await nextTurn()
  return process.exit(code)
}

async function run([name, ...args]: readonly string[], io: Io): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    io.out(HELP)
    return name === undefined ? EXIT.usage : EXIT.ok
  }
  if (name === '--version' || name === '-V' || name === 'version') {
    io.out(`curlew ${VERSION}\n`)
    return EXIT.ok
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (!command) {
    io.err(`curlew: ${name}: expected one of ${Object.keys(COMMANDS).join(', ')}\n`)
    return EXIT.usage
  }
  try {
    const { help, subcommands, run: execute } = await command.load()
    const own = subcommands ? args.slice(0, 1) : args
    if (own.includes('--help') || own.includes('-h')) {
      io.out(help)
      return EXIT.ok
    }
    return await execute(args, io)
  } catch (error) {
    return explain(error, name, io)
  }
}

/** One sentence, never a stack trace, unless it is a bug of ours. */
function explain(error: unknown, command: string, io: Pick<Io, 'err'>): number {
  const named = error instanceof Error ? error.name : ''
  const message = redact(error instanceof Error ? error.message : String(error))
  if (error instanceof UsageError) {
    io.err(`curlew ${command}: ${message}\n`)
    return EXIT.usage
  }
  if (named === 'ConfigError') {
    io.err(`${message}\n`)
    return EXIT.usage
  }
  const stack = error instanceof Error && error.stack !== undefined ? redact(error.stack) : message
  io.err(`curlew ${command}: an error inside Curlew, please report it:\n${stack}\n`)
  return EXIT.unknown
}
