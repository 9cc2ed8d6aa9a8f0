import { EXIT, type Io } from './usage.ts'

export const help = `Usage: curlew notify COMMAND [options]

  serve            take alerts and deliver them, without probing
  preview          print exactly what would be sent for a notification
  lint             render samples for every route and channel, and warn of what a service would refuse
  test CHANNEL     send one message
  dead             list, show, send again or forget what was given up

curlew notify COMMAND --help tells more.
`

interface Command {
  load(): Promise<{ readonly help: string, run(args: readonly string[], io: Io): Promise<number> }>
}

const COMMANDS: Readonly<Record<string, Command>> = {
  serve: { load: async () => { const { forwarderHelp: text, serve } = await import('./serve.ts'); return { help: text, run: (args, io) => serve(args, io, false) } } },
  preview: { load: async () => { const { help: text, notifyPreview } = await import('./notify-preview.ts'); return { help: text, run: notifyPreview } } },
  lint: { load: async () => { const { help: text, notifyLint } = await import('./notify-lint.ts'); return { help: text, run: notifyLint } } },
  test: { load: async () => { const { help: text, notifyTest } = await import('./notify-test.ts'); return { help: text, run: notifyTest } } },
  dead: { load: async () => { const { help: text, notifyDead } = await import('./notify-dead.ts'); return { help: text, run: notifyDead } } },
}

/** `curlew notify …`. */
export async function notify([name, ...args]: readonly string[], io: Io): Promise<number> {
  const command = name !== undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (!command) {
    io.err(name === undefined ? help : `curlew notify: ${name}: expected one of ${Object.keys(COMMANDS).join(', ')}\n`)
    return EXIT.usage
  }
  const { help: text, run } = await command.load()
  if (args.includes('--help') || args.includes('-h')) {
    io.out(text)
    return EXIT.ok
  }
  return run(args, io)
}
