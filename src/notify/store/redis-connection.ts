import { createHash } from 'node:crypto'
import { Redis } from 'ioredis'
import { EntriesChanged, LeaseLost, OutboxFull } from '../outbox.ts'
import type { Secret } from '../../core/secrets.ts'
import { scriptOf, type ScriptName } from './redis-scripts.ts'

/** The longest wait for an answer, ms. */
const COMMAND_MS = 2_000
/** A connection whose far end has silently gone is given up after so long, ms: the next one may reach the new master. */
const SILENCE_MS = 5_000

export interface RedisConnection {
  /** Runs a script; returns what it answers after its status. Throws what the status means, or a sentence. */
  run(script: ScriptName, keyBase: string, args: readonly (string | number)[]): Promise<readonly unknown[]>
  /** One other command; throws a sentence. */
  command(name: string, ...args: readonly (string | number)[]): Promise<unknown>
  /** Whether a call would be sent, as far as is known. */
  isUp(): boolean
  close(): void
}

/**
 * A connection that answers or rejects within 2 s and reconnects by itself unless it shall not. What was under way when it broke
 * is not sent again: nobody knows whether it was done, and the caller can look.
 */
export async function connectRedis(url: Secret, { reconnects = true } = {}): Promise<RedisConnection> {
  const redis = new Redis(url.reveal(), {
    lazyConnect: true,
    protocol: 2,
    disableClientInfo: true,
    enableReadyCheck: false,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: COMMAND_MS,
    commandTimeout: COMMAND_MS,
    socketTimeout: SILENCE_MS,
    keepAlive: 10_000,
    retryStrategy: (attempt) => (reconnects ? Math.min(attempt * 100, 2_000) : null),
    // The master has become a replica: its name may lead to the new one.
    reconnectOnError: ({ message }) => message.startsWith('READONLY'),
  })
  // Without a listener the library prints errors; the commands tell them.
  let last: Error | undefined
  redis.on('error', (error: Error) => { last = error })
  redis.on('ready', () => { last = undefined })
  const call = async (name: string, args: readonly (string | number)[]): Promise<unknown> => {
    try {
      return await redis.call(name, [...args])
    } catch (error) {
      throw redisError(error, last)
    }
  }
  try {
    await redis.connect()
  } catch (error) {
    redis.disconnect()
    throw redisError(error, last)
  }
  return {
    async run(script, keyBase, args) {
      const { text, sha } = prepared(script)
      const rest = [1, keyBase, ...args]
      const answer = await call('EVALSHA', [sha, ...rest]).catch((error: unknown) => {
        if (error instanceof UnknownScript) return call('EVAL', [text, ...rest])
        throw error
      })
      return readAnswer(answer)
    },
    command: (name, ...args) => call(name, args),
    isUp: () => redis.status === 'ready',
    close: () => redis.disconnect(),
  }
}

/** No answer: whether anything was done is not known. */
export class RedisAway extends Error {
  override readonly name = 'RedisAway'
}

class UnknownScript extends Error {}

const scripts = new Map<ScriptName, { readonly text: string, readonly sha: string }>()

function prepared(name: ScriptName) {
  const known = scripts.get(name)
  if (known) return known
  const text = scriptOf(name)
  const script = { text, sha: createHash('sha1').update(text).digest('hex') }
  scripts.set(name, script)
  return script
}

function readAnswer(answer: unknown): readonly unknown[] {
  const [status, ...rest] = listOf(answer)
  if (status === 'ok') return rest
  if (status === 'lost') throw new LeaseLost('another Curlew sends on this channel')
  if (status === 'full') throw new OutboxFull('the outbox in Redis is at its limit')
  throw new EntriesChanged(`entry ${String(rest[0])} does not wait any more`)
}

/** An array that a script returns. */
export function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error('Redis answers a script with something else than it returns')
  return value
}

/** Without the library's own error, which carries the arguments: texts of alerts. `last` is what broke the connection. */
function redisError(error: unknown, last: Error | undefined): Error {
  const message = error instanceof Error ? error.message : String(error)
  if (message.startsWith('NOSCRIPT')) return new UnknownScript(message)
  if (error instanceof Error && error.name === 'ReplyError') return new Error(`Redis refuses: ${message}`)
  if (message === 'Command timed out') return new RedisAway(`Redis has not answered within ${COMMAND_MS / 1_000} s`)
  return new RedisAway(`Redis cannot be reached: ${last?.message || message}`)
}
