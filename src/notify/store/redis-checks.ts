import type { RedisConnection } from './redis-connection.ts'

/** This Redis is not to be relied upon: a person must change it, or say that it need not be. */
export class RedisRefused extends Error {
  override readonly name = 'RedisRefused'
}

/** What the outbox must know of a server before it trusts it. */
export interface Keeping {
  /** Whether a write may be acknowledged before it is on the server's disk, and WAITAOF can wait for that (Redis 7.2). */
  readonly waitsForDisk: boolean
}

/**
 * Refuses, with a sentence, a server that would lose what it has acknowledged: without append-only file, that evicts, or a
 * replica. INFO tells; CONFIG, which many providers forbid, only says how the file is synced.
 */
export async function checkKeeping(redis: RedisConnection): Promise<Keeping> {
  const info = await readInfo(redis)
  if (info.get('role') === 'slave') throw new RedisRefused('this Redis is a replica: give notify.redis.url the master')
  if (info.get('aof_enabled') !== '1') throw new RedisRefused('this Redis has no append-only file and would lose alerts when it restarts: set `appendonly yes` there, or `durability: best-effort` here')
  const policy = info.get('maxmemory_policy')
  if (info.get('maxmemory') !== '0' && policy !== 'noeviction') {
    throw new RedisRefused(`this Redis evicts keys when its memory is full (maxmemory-policy ${policy ?? 'unknown'}) and would lose alerts: set \`noeviction\` there, or \`durability: best-effort\` here`)
  }
  return { waitsForDisk: isAtLeast(info.get('redis_version') ?? '', 7, 2) && await syncPolicy(redis) !== 'always' }
}

async function readInfo(redis: RedisConnection): Promise<ReadonlyMap<string, string>> {
  try {
    const text = String(await redis.command('INFO'))
    return new Map(Array.from(text.matchAll(/^(\w+):(.*?)\r?$/gm), ([, name = '', value = '']) => [name, value]))
  } catch (error) {
    throw new RedisRefused(`this Redis does not tell whether it keeps what it acknowledges (${error instanceof Error ? error.message : String(error)}): allow INFO there, or set \`durability: best-effort\` here`, { cause: error })
  }
}

async function syncPolicy(redis: RedisConnection): Promise<unknown> {
  try {
    const answer = await redis.command('CONFIG', 'GET', 'appendfsync')
    return Array.isArray(answer) ? answer[1] : undefined
  } catch {
    // Forbidden: then it waits, which is right for either policy.
    return undefined
  }
}

function isAtLeast(version: string, major: number, minor: number): boolean {
  const [ownMajor = 0, ownMinor = 0] = version.split('.').map(Number)
  return ownMajor > major || (ownMajor === major && ownMinor >= minor)
}
