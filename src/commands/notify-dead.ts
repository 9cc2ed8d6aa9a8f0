import { existsSync } from 'node:fs'
import { formatDuration } from '../core/fields.ts'
import { redact } from '../core/secrets.ts'
import type { NotifyConfig } from '../notify/options.ts'
import type { DeadEntry, Outbox } from '../notify/outbox.ts'
import { openRedisOutbox } from '../notify/store/redis.ts'
import { openSqliteOutbox } from '../notify/store/sqlite.ts'
import { outboxDirectory, readNotify } from './notify-config.ts'
import { counted, EXIT, readArgs, UsageError, type Io } from './usage.ts'

export const help = `Usage: curlew notify dead [list] [--channel NAME] [-o json]
       curlew notify dead show ID
       curlew notify dead resend ID... | --all [--channel NAME] [--to NAME]
       curlew notify dead forget ID... | --all [--channel NAME]

Alerts that were given up, oldest first; they are kept for notify.storage.keep_dead. It works beside a running Curlew, which
sends again within a second what is queued again. IDs that begin with r are those of the Redis that replicas share.

  -c, --config PATH   the config file or directory
  --channel NAME      only what was meant for this channel
  --to NAME           send again to this channel instead
  --all               instead of IDs
  -o, --output FORMAT pretty or json; pretty unless given
`

const PAGE = 500

interface Kept {
  /** What IDs of this outbox begin with. */
  readonly prefix: '' | 'r'
  readonly outbox: Outbox
}

/** `curlew notify dead`. */
export async function notifyDead(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = readArgs({
    args: [...args], allowPositionals: true,
    options: {
      config: { type: 'string', short: 'c' }, channel: { type: 'string' }, to: { type: 'string' },
      all: { type: 'boolean', default: false }, output: { type: 'string', short: 'o', default: 'pretty' },
    },
  })
  const [action = 'list', ...ids] = positionals
  if (!['list', 'show', 'resend', 'forget'].includes(action)) throw new UsageError(`${action}: expected list, show, resend or forget`)
  const { output, channel, to, all } = values
  if (output !== 'pretty' && output !== 'json') throw new UsageError('--output: expected pretty or json')
  if (action === 'list' && ids.length > 0) throw new UsageError('list takes no IDs: expected show ID')
  if (action === 'show' && ids.length !== 1) throw new UsageError('show: expected one ID')
  if ((action === 'resend' || action === 'forget') && all === ids.length > 0) throw new UsageError(`${action}: expected IDs, or --all`)
  const config = await readNotify(values.config, io)
  for (const name of [channel, to]) {
    if (name !== undefined && name === to && !config.channels.some((one) => one.name === name)) throw new UsageError(`there is no channel ${name}: expected one of ${config.channels.map((one) => one.name).join(', ')}`)
  }

  const kept = await open(config, io)
  try {
    if (action === 'list' || action === 'show') return await show(kept, { ids, channel, output, whole: action === 'show' }, io)
    let count = 0
    const began = Date.now()
    const missing = new Set(ids)
    for (const { prefix, outbox } of kept) {
      for await (const page of pages(outbox, channel)) {
        // What a fallback has told already is told again only where it is named, and what dies again meanwhile not at all.
        const chosen = page.filter(({ id, handedTo, diedAt }) => (all ? diedAt <= began && (handedTo === undefined || action === 'forget') : ids.includes(`${prefix}${id}`))).map(({ id }) => id)
        for (const id of chosen) missing.delete(`${prefix}${id}`)
        if (chosen.length > 0) count += action === 'resend' ? await outbox.resend(chosen, to, Date.now()) : await outbox.forget(chosen)
      }
    }
    io.out(`${counted(count, 'alert')} ${action === 'resend' ? 'queued again' : 'forgotten'}\n`)
    if (missing.size > 0) io.err(`curlew notify dead: there is no dead alert ${[...missing].join(', ')}\n`)
    return missing.size > 0 ? EXIT.failed : EXIT.ok
  } finally {
    await Promise.all(kept.map(({ outbox }) => outbox.close()))
  }
}

async function open(config: NotifyConfig, io: Io): Promise<readonly Kept[]> {
  const options = { dedupMs: config.dedup_window, entries: config.storage.entries, keepDeadMs: config.storage.keep_dead }
  const directory = outboxDirectory(config, io)
  if (!existsSync(directory) && !config.redis) throw new UsageError(`there is no outbox at ${directory}: set notify.storage.path, or STATE_DIRECTORY as the running Curlew has it`)
  return [
    ...existsSync(directory) ? [{ prefix: '' as const, outbox: openSqliteOutbox(directory, options) }] : [],
    ...config.redis ? [{ prefix: 'r' as const, outbox: await openRedisOutbox(config.redis, options) }] : [],
  ]
}

async function* pages(outbox: Outbox, channel: string | undefined): AsyncGenerator<readonly DeadEntry[]> {
  let after: number | undefined
  for (;;) {
    const page = await outbox.dead({ most: PAGE, ...(channel === undefined ? {} : { channel }), ...(after === undefined ? {} : { after }) })
    if (page.length === 0) return
    yield page
    after = page.at(-1)?.id
  }
}

async function show(
  kept: readonly Kept[], { ids, channel, output, whole }: { ids: readonly string[], channel: string | undefined, output: 'pretty' | 'json', whole: boolean }, io: Io,
): Promise<number> {
  let count = 0
  for (const { prefix, outbox } of kept) {
    for await (const page of pages(outbox, channel)) {
      for (const entry of page) {
        const id = `${prefix}${entry.id}`
        if (whole && !ids.includes(id)) continue
        count++
        io.out(`${redact(whole ? JSON.stringify({ ...entry, id }, null, 2) : output === 'json' ? JSON.stringify({ ...entry, id }) : line(id, entry))}\n`)
      }
    }
  }
  if (!whole && output === 'pretty') io.out(`${counted(count, 'alert')} given up\n`)
  if (whole && count === 0) throw new UsageError(`there is no dead alert ${ids.join(' ')}`)
  return EXIT.ok
}

function line(id: string, { alert, channel, reason, detail, diedAt, handedTo }: DeadEntry): string {
  const age = formatDuration(Math.max(1_000, Math.floor((Date.now() - diedAt) / 1_000) * 1_000))
  const name = alert.labels['alertname'] ?? alert.fingerprint
  return [id.padStart(6), channel, `${name} ${alert.status}`, reason, ...handedTo === undefined ? [] : [`handed to ${handedTo}`], `${age} ago`, detail].join('  ')
}
