import { redact } from '../core/secrets.ts'
import { lintNotify } from '../notify/lint.ts'
import { readNotify } from './notify-config.ts'
import { counted, EXIT, readArgs, type Io } from './usage.ts'

export const help = `Usage: curlew notify lint [-c FILE]

Renders samples (firing, resolved, many, a digest, hostile, long, Chinese) by every route for its channels, and warns of what a
service would only tell at the first message: size, keyword, mentions, markup. Nothing is sent. Exits 1 if there is a warning.

  -c, --config PATH   the config file or directory
`

/** `curlew notify lint`. */
export async function notifyLint(args: readonly string[], io: Io): Promise<number> {
  const { values } = readArgs({ args: [...args], options: { config: { type: 'string', short: 'c' } } })
  const config = await readNotify(values.config, io)
  const warnings = lintNotify(config, Date.now())
  for (const warning of warnings) io.out(`${redact(warning)}\n`)
  if (warnings.length > 0) io.err(`curlew: ${counted(warnings.length, 'warning')}\n`)
  else io.out(`${counted(config.routes.length, 'route')} and ${counted(config.channels.length, 'channel')}: no warnings\n`)
  return warnings.length > 0 ? EXIT.failed : EXIT.ok
}
