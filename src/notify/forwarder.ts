import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { startChild, type Child } from '../children.ts'
import type { NotifyMetrics } from './metrics.ts'
import type { FromForwarder, ProbeQuestion, ToForwarder } from './protocol.ts'
import { createTroubleLog } from './troubles.ts'

/** How long a write may take: Alertmanager is told to come again while there is time. */
const WRITE_MS = 900
/** Requests and bytes that may be out at the same time. */
const MOST_OPEN = 500
const MOST_OPEN_BYTES = 64 * 1024 * 1024
const RESTART_MS = { first: 500, most: 30_000 }

export interface Received {
  readonly status: number
  readonly text: string
}

export interface ForwarderDeps {
  /** What the API says of a probe; undefined when it does not know it, or not one alone. */
  lookUp(question: ProbeQuestion): unknown
  readonly metrics: NotifyMetrics
  readonly log: (level: 'info' | 'warn' | 'error', message: string, fields: Readonly<Record<string, unknown>>) => void
  /** The outbox cannot be had: another process holds it, or its directory is not usable. Without this it is tried again and again. */
  onFailed?(message: string): void
}

export interface Forwarder {
  /** `notify` is the section as the file has it, substituted; `directory` is absolute. Starts the process, or tells it. */
  configure(notify: unknown, directory: string): void
  /** Hands over what Alertmanager posted; answers within 900 ms, with 503 where it is not known to be kept by then. */
  receive(path: string | undefined, body: Buffer): Promise<Received>
  /** Lets what is being sent end, within `sendingMs`: an answer that is not awaited has the message told twice. One that hangs on its disk has `withinMs`. */
  stop(withinMs: number, sendingMs: number): Promise<void>
}

interface Open {
  readonly bytes: number
  readonly since: number
  settle(received: Received): void
}

/**
 * The process that keeps and delivers, seen from the one that probes and owns the HTTP socket: however long a disk or a chat
 * service takes, nothing here waits for it. One that hangs on its disk is neither killed nor replaced: it goes on when the disk does.
 */
export function createForwarder({ lookUp, metrics, log, onFailed }: ForwarderDeps): Forwarder {
  const open = new Map<number, Open>()
  const report = createTroubleLog(log)
  let child: Child | undefined
  let configured: Extract<ToForwarder, { kind: 'config' }> | undefined
  let stopping = false
  let lastId = 0
  let openBytes = 0
  let restarts = 0
  let wasReady = false
  let timer: NodeJS.Timeout | undefined
  let onGone: (() => void) | undefined

  function start(): void {
    const entry = new URL(import.meta.url.endsWith('.ts') ? './forwarder-worker.ts' : './forwarder-worker.js', import.meta.url)
    let failure: string | undefined
    let started: Child
    try {
      started = startChild(process.execPath, ['--disable-warning=ExperimentalWarning', fileURLToPath(entry)], (why) => {
        child = undefined
        metrics.up(false)
        for (const one of open.values()) one.settle({ status: 503, text: 'The process that keeps alerts has ended: try again.' })
        open.clear()
        openBytes = 0
        onGone?.()
        if (stopping) return
        if (failure !== undefined && !wasReady && onFailed) return onFailed(failure)
        log('error', 'the process that keeps alerts has ended', { why, error: failure ?? started.complaint() })
        restart()
      })
    } catch (error) {
      log('error', 'the process that keeps alerts does not start', { error: error instanceof Error ? error.message : String(error) })
      restart()
      return
    }
    child = started
    createInterface({ input: started.process.stdout, crlfDelay: Infinity }).on('line', (line) => {
      const message = JSON.parse(line) as FromForwarder // safe: forwarder-worker.ts writes nothing else
      if (message.kind === 'failed') failure = message.message
      else take(message)
    })
    if (configured) tell(configured)
  }

  function restart(): void {
    const waitMs = Math.min(RESTART_MS.most, RESTART_MS.first * 2 ** restarts++)
    timer = setTimeout(start, waitMs)
  }

  function take(message: Exclude<FromForwarder, { kind: 'failed' }>): void {
    switch (message.kind) {
      case 'ready':
        restarts = 0
        wasReady = true
        metrics.up(true)
        break
      case 'answer': {
        const one = open.get(message.id)
        if (!one) break
        open.delete(message.id)
        openBytes -= one.bytes
        one.settle({ status: message.status, text: message.text })
        break
      }
      case 'lookup':
        tell({ kind: 'found', id: message.id, answer: lookUp(message.question) })
        break
      case 'log':
        log(message.level, message.message, message.fields)
        break
      case 'channel':
        report(message)
        metrics.take(message)
        break
      default:
        metrics.take(message)
    }
    if (child) child.stuck = isLate()
  }

  /** Something was asked too long ago: whatever comes now would wait behind it. */
  function isLate(): boolean {
    const [oldest] = open.values()
    return oldest !== undefined && performance.now() - oldest.since > WRITE_MS
  }

  function tell(line: ToForwarder): void {
    child?.process.stdin.write(`${JSON.stringify(line)}\n`)
  }

  /** As `tell`, without a look at each of ten million characters of which none needs escaping: probes wait for this process. */
  function tellBody(line: Omit<Extract<ToForwarder, { kind: 'alerts' }>, 'body'>, body: Buffer): void {
    child?.process.stdin.write(`${JSON.stringify(line).slice(0, -1)},"body":"`)
    child?.process.stdin.write(`${body.toString('base64')}"}\n`, 'latin1')
  }

  return {
    configure(notify, directory) {
      configured = { kind: 'config', notify, directory, cwd: process.cwd(), env: proxyVariables(process.env) }
      if (child) tell(configured)
      else if (timer === undefined) start()
    },
    receive(path, body) {
      if (!child || stopping) return Promise.resolve({ status: 503, text: 'The process that keeps alerts does not run: try again.' })
      if (isLate() || open.size >= MOST_OPEN || openBytes + body.length > MOST_OPEN_BYTES) {
        return Promise.resolve({ status: 503, text: isLate() ? 'The disk of the outbox does not answer: try again.' : 'Too many requests wait for the disk of the outbox: try again.' })
      }
      const id = ++lastId
      const { promise, resolve } = Promise.withResolvers<Received>()
      const hurry = setTimeout(() => {
        if (child) child.stuck = true
        resolve({ status: 503, text: `The outbox has not answered within ${WRITE_MS} ms: try again.` })
      }, WRITE_MS)
      open.set(id, {
        bytes: body.length,
        since: performance.now(),
        settle(received) {
          clearTimeout(hurry)
          resolve(received)
        },
      })
      openBytes += body.length
      tellBody({ kind: 'alerts', id, ...(path === undefined ? {} : { path }) }, body)
      return promise
    },
    async stop(withinMs, sendingMs) {
      stopping = true
      clearTimeout(timer)
      if (!child) return
      const gone = new Promise<void>((resolve) => { onGone = resolve })
      tell({ kind: 'stop' })
      let late: NodeJS.Timeout | undefined
      await Promise.race([gone, new Promise<void>((resolve) => { late = setTimeout(resolve, child?.stuck ? withinMs : sendingMs) })])
      clearTimeout(late)
    },
  }
}

/** Those that `proxy_from_environment` reads: a child has no others. */
function proxyVariables(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(env).flatMap(([name, value]) => (/^(?:https?|no)_proxy$/i.test(name) && value !== undefined ? [[name, value]] : [])))
}
