import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { bindChannel, type BoundChannel } from './bind.ts'
import { createEngine, type Engine } from './engine.ts'
import { createIntake, type Request } from './intake.ts'
import { createLookup } from './lookup.ts'
import { notifySchema, type NotifyConfig } from './options.ts'
import type { LocalOutbox, SharedOutbox } from './outbox.ts'
import type { FromForwarder, ToForwarder } from './protocol.ts'
import { lockDirectory, type DirectoryLock } from './store/lock.ts'
import { openShared } from './store/shared.ts'
import { openSqliteOutbox } from './store/sqlite.ts'

// A process of its own, started by forwarder.ts: lines of JSON in and out. It owns the outbox, whose writes wait for the disk,
// and delivers. It ends when its input does.

/** How long an earlier owner may take to end. */
const LOCK_MS = 5_000
/** How long an end waits for a shared outbox that is away: its beginning may wait there. */
const HOLD_ENDS_MS = 300_000
/** For what is being sent when our parent has gone. */
const LAST_WORDS_MS = 500
/** Requests that are written in one step: a disk takes as long for one as for many. */
const MOST_AT_ONCE = 200

/** The outboxes of a config. */
interface Opened {
  readonly directory: string
  readonly lock: DirectoryLock
  readonly local: LocalOutbox
  readonly shared: SharedOutbox | undefined
}

interface Running extends Opened {
  readonly config: NotifyConfig
  readonly engine: Engine
}

const waiting: Request[] = []
let running: Running | undefined
let stopped = false
/** Configs, one after the other. */
let configured: Promise<void> = Promise.resolve()
/** Writes, one after the other. */
let turn: Promise<void> = Promise.resolve()
const lookup = createLookup(tell)
const intake = createIntake(tell)

const lines = createInterface({ input: process.stdin, crlfDelay: Infinity })
lines.on('line', (line) => {
  const message = JSON.parse(line) as ToForwarder // safe: forwarder.ts writes nothing else
  if (message.kind === 'found') lookup.found(message.id, message.answer)
  else if (message.kind === 'stop') void finish()
  else if (message.kind === 'config') {
    configured = configured.then(() => configure(message)).catch(fail)
    const first = configured
    if (!running) void inTurn(() => first)
  } else {
    waiting.push({ id: message.id, path: message.path, body: message.body, at: performance.now() })
    if (waiting.length === 1) void inTurn(write)
  }
})
lines.once('close', () => {
  void finish()
  // What is under way would outlast our parent. Nothing is lost: it is what kill -9 would do.
  void sleep(LAST_WORDS_MS, undefined, { ref: false }).then(() => process.kill(process.pid, 'SIGKILL'))
})

/** Never rejects. */
function inTurn(work: () => Promise<void>): Promise<void> {
  turn = turn.then(work).catch(fail)
  return turn
}

/** Ends after the configs and the writes that have come before. */
function finish(): Promise<void> {
  return configured.then(() => inTurn(end))
}

/**
 * The first config must do; a later one that cannot be used leaves what runs alone. Alerts are taken all the while: what is
 * being sent may need as long as a service takes to answer, and the next senders begin when the last ones have ended.
 */
async function configure({ notify, directory, cwd, env }: Extract<ToForwarder, { kind: 'config' }>): Promise<void> {
  if (stopped) return
  const config = withFilesIn(cwd, notifySchema.parse(notify))
  const old = running
  let bound: readonly BoundChannel[]
  let opened: Opened
  try {
    bound = config.channels.map((channel) => bindChannel(channel, env))
    opened = await open(config, directory)
  } catch (error) {
    if (!old) throw error
    tell({ kind: 'log', level: 'error', message: 'the new section notify cannot be used, the old one stays', fields: { error: sentence(error) } })
    return
  }
  await old?.engine.stop()
  lookup.ask(config.curlews)
  running = { ...opened, config, engine: createEngine({ config, bound, ...opened, lookUp: lookup.lookUp, tell }) }
  if (old) {
    if (old.directory !== directory) tell({ kind: 'log', level: 'warn', message: 'the outbox has moved: what waits in the old directory is not told', fields: { old: old.directory, new: directory } })
    // After the write that may still use it.
    void inTurn(() => close(old))
  }
  tell({ kind: 'ready' })
}

/** The files that a section names are relative to where Curlew was started, and this process runs elsewhere. */
function withFilesIn(cwd: string, config: NotifyConfig): NotifyConfig {
  const at = (file: string | undefined) => file && resolve(cwd, file)
  return {
    ...config,
    curlews: config.curlews.map((one) => ({ ...one, ca_file: at(one.ca_file) })),
    channels: config.channels.map((one) => ({ ...one, ca_file: at(one.ca_file), cert_file: at(one.cert_file), key_file: at(one.key_file) })),
  }
}

async function open(config: NotifyConfig, directory: string): Promise<Opened> {
  const options = { dedupMs: config.dedup_window, entries: config.storage.entries, keepDeadMs: config.storage.keep_dead }
  const lock = running?.directory === directory ? running.lock : await lockDirectory(directory, LOCK_MS)
  let local: LocalOutbox | undefined
  try {
    local = openSqliteOutbox(directory, options, config.redis ? HOLD_ENDS_MS : 0)
    return { directory, lock, local, shared: config.redis && await openShared(config.redis, options, tell) }
  } catch (error) {
    await local?.close()
    if (lock !== running?.lock) lock.release()
    throw error
  }
}

/** Its senders have ended. */
async function close({ local, shared, lock }: Opened): Promise<void> {
  await intake.answered()
  await Promise.all([local.close(), shared?.close()])
  if (stopped || lock !== running?.lock) lock.release()
}

/** Writes what has come in, in one step, and answers when it is durable. */
async function write(): Promise<void> {
  await intake.gathered()
  const requests = waiting.splice(0, MOST_AT_ONCE)
  if (waiting.length > 0) void inTurn(write)
  if (running) await intake.takeIn(running, requests)
  else for (const { id } of requests) tell({ kind: 'answer', id, status: 503, text: 'The outbox is not open.' })
}

async function end(): Promise<void> {
  if (stopped) return
  stopped = true
  await running?.engine.stop()
  if (running) await close(running)
  lines.close()
  process.stdin.destroy()
}

function fail(error: unknown): void {
  tell({ kind: 'failed', message: sentence(error) })
  process.exitCode = 1
  lines.close()
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function tell(line: FromForwarder): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
