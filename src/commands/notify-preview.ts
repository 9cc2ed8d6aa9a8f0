import { readFileSync } from 'node:fs'
import { redact } from '../core/secrets.ts'
import { withoutWatchdog } from '../notify/deadman.ts'
import { BadPayload, readNotification } from '../notify/payload.ts'
import { previewTexts } from '../notify/preview.ts'
import { routeName, UnknownRoute } from '../notify/routing.ts'
import { readNotify } from './notify-config.ts'
import { EXIT, readArgs, UsageError, type Io } from './usage.ts'

export const help = `Usage: curlew notify preview PAYLOAD --channel NAME [--route NAME] [--lang en|zh] [-c FILE]

Prints exactly what would be sent for a notification, with its size; signatures and the robot's address are hidden. PAYLOAD is
a file with the JSON that Alertmanager posts, - for standard input. Nothing is sent and no probe is looked up.

  --channel NAME      the channel to render for
  --route NAME        take this route for all of its alerts, instead of matching them
  --lang LANG         en or zh, instead of the route's own
  -c, --config PATH   the config file or directory
`

/** `curlew notify preview`. */
export async function notifyPreview(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = readArgs({
    args: [...args], allowPositionals: true,
    options: { config: { type: 'string', short: 'c' }, channel: { type: 'string' }, route: { type: 'string' }, lang: { type: 'string' } },
  })
  const { lang, channel, route } = values
  if (lang !== undefined && lang !== 'en' && lang !== 'zh') throw new UsageError('--lang: expected en or zh')
  const [file, ...others] = positionals
  if (file === undefined || others.length > 0) throw new UsageError('expected one file with a notification, or - for standard input')
  const config = await readNotify(values.config, io)
  const channels = config.channels.map((one) => one.name)
  if (channel === undefined || !channels.includes(channel)) throw new UsageError(`--channel: expected one of ${channels.join(', ')}`)

  const now = Date.now()
  let texts: readonly string[]
  try {
    const notification = readNotification(readPayload(file), now)
    if (notification.alerts.length === 0) throw new UsageError(`${file}: expected a notification with at least one alert`)
    const { notification: rest } = withoutWatchdog(config.deadman, notification)
    if (rest.alerts.length === 0) throw new UsageError(`${file}: the deadman of the config listens for this alert, and nobody is told of it`)
    texts = previewTexts(config, rest, { channel, route, lang, now })
  } catch (error) {
    if (error instanceof BadPayload) throw new UsageError(error.message)
    if (error instanceof UnknownRoute) throw new UsageError(`--route: expected one of ${config.routes.map(routeName).join(', ')}`)
    throw error
  }
  if (texts.length === 0) throw new UsageError(`no route brings these alerts to ${channel}: name one with --route`)
  io.out(`${texts.map(redact).join('\n\n')}\n`)
  return EXIT.ok
}

function readPayload(file: string): Uint8Array {
  try {
    return readFileSync(file === '-' ? 0 : file)
  } catch (error) {
    throw new UsageError(`${file}: expected a readable file (${error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'})`)
  }
}
