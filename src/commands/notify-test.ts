import { ProbeFailure } from '../core/probe.ts'
import { bindChannel, type BoundChannel } from '../notify/bind.ts'
import type { Notice } from '../notify/notice.ts'
import type { ChannelConfig } from '../notify/options.ts'
import { post, WireError } from '../notify/wire.ts'
import { readNotify } from './notify-config.ts'
import { EXIT, readArgs, UsageError, type Io } from './usage.ts'

export const help = `Usage: curlew notify test CHANNEL [-c FILE] [--lang en|zh]

Sends one message to a channel, past the outbox and its rates, and says what the service made of it. Exits 0 when it was
taken, 1 when not.

  -c, --config PATH   the config file or directory
  --lang LANG         en or zh; en unless given
`

const TEXTS = {
  en: { title: 'Test message from Curlew', line: 'If you can read this, alerts reach this chat. Nothing is wrong.' },
  zh: { title: 'Curlew 测试消息', line: '看到这条消息，说明告警可以送达此群。当前没有任何故障。' },
} as const

/** `curlew notify test`. */
export async function notifyTest(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = readArgs({
    args: [...args], allowPositionals: true,
    options: { config: { type: 'string', short: 'c' }, lang: { type: 'string', default: 'en' } },
  })
  const { lang } = values
  if (lang !== 'en' && lang !== 'zh') throw new UsageError('--lang: expected en or zh')
  const [name, ...more] = positionals
  if (name === undefined || more.length > 0) throw new UsageError('expected the name of one channel')
  const config = await readNotify(values.config, io)
  const found = config.channels.find((one) => one.name === name)
  if (!found) throw new UsageError(`there is no channel ${name}: expected one of ${config.channels.map((one) => one.name).join(', ')}`)

  const channel = bound(found, io)
  const { title, line } = TEXTS[lang]
  const notice: Notice = { tone: 'info', title, lead: [[{ kind: 'text', text: line }]], blocks: [], tail: [], links: [], mentions: [], everyone: false }
  try {
    const request = channel.request(channel.render(notice), Date.now())
    const answer = await post(request, { ...channel.way(request.url), allowPrivate: config.allow_private_destinations })
    const verdict = channel.verdict(answer)
    if (verdict.outcome === 'sent') {
      io.out(`${name}: taken by the service\n`)
      return EXIT.ok
    }
    io.out(`${name}: not taken (${verdict.reason}): ${verdict.detail}\n`)
  } catch (error) {
    if (!(error instanceof WireError)) throw error
    io.out(`${name}: not taken (${error.reason}): ${error.message}\n`)
  }
  return EXIT.failed
}

function bound(channel: ChannelConfig, io: Io): BoundChannel {
  try {
    return bindChannel(channel, io.env)
  } catch (error) {
    // A proxy of the environment that is none.
    if (error instanceof ProbeFailure) throw new UsageError(error.message)
    throw error
  }
}
