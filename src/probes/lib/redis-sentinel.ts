import { parseEndpoint, type Endpoint } from '../../core/fields.ts'
import { ProbeFailure } from '../../core/probe.ts'
import type { RedisClient } from './redis-client.ts'
import { redisFailure, type REDIS_SENTINEL_CODES } from './redis-codes.ts'
import type { Info } from './redis-info.ts'
import { ifAllowed, withOwnCodes } from './redis-server.ts'

/** What one sentinel knows of the master. */
export interface Answer {
  /** Undefined where it does not know the name. */
  readonly master: Endpoint | undefined
  /** The fields of SENTINEL MASTER; empty where its ACL forbids it. */
  readonly about: Info
  readonly quorum: boolean | undefined
}

/** Flags of a master that a sentinel takes for down, by itself or together with others. */
export const DOWN = ['s_down', 'o_down'] as const

/** How many of the answers have one of these flags. */
export function flagged(answers: readonly Answer[], ...flags: readonly string[]): number {
  return answers.filter(({ about }) => about.get('flags')?.split(',').some((flag) => flags.includes(flag))).length
}

/** What only Sentinel says, and what only others say to its commands. */
const SENTINEL_LINES = {
  'IDONTKNOW': 'redis_idontknow', 'ERR No such master': 'redis_no_such_master', 'ERR unknown command': 'redis_not_sentinel',
} as const satisfies Readonly<Record<string, keyof typeof REDIS_SENTINEL_CODES>>

/** Asks one sentinel for the master of that name. What its ACL forbids beside the address is left open. */
export function ask(client: RedisClient, name: string): Promise<Answer> {
  return withOwnCodes(SENTINEL_LINES, async () => {
    const address = await client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name)
    if (address === null) return { master: undefined, about: new Map(), quorum: undefined }
    const [host = '', port] = Array.isArray(address) ? address.map(String) : []
    const master = parseEndpoint(host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`, undefined)
    if (!master) throw redisFailure('redis_protocol', `the address of the master is not as Sentinel answers it: ${JSON.stringify(address)}`)
    const about = await ifAllowed(() => client.call('SENTINEL', 'MASTER', name))
    return { master, about: fieldsOf(about), quorum: await quorumOf(client, name) }
  })
}

/** `[name, value, name, value, …]`, and nothing where it is something else. */
function fieldsOf(reply: unknown): Info {
  const texts = Array.isArray(reply) ? reply.map(String) : []
  return new Map(texts.flatMap((text, index) => (index % 2 === 0 ? [[text, texts[index + 1] ?? ''] as const] : [])))
}

async function quorumOf(client: RedisClient, name: string): Promise<boolean | undefined> {
  try {
    return await ifAllowed(() => client.call('SENTINEL', 'CKQUORUM', name)) instanceof ProbeFailure ? undefined : true
  } catch (error) {
    if (error instanceof ProbeFailure && error.message.startsWith('NOQUORUM')) return false
    throw error
  }
}

/** Each master that is named, and by how many; the one that most name first. */
export function namedMasters(answers: readonly Answer[]): { readonly master: Endpoint, readonly count: number }[] {
  const masters = answers.flatMap(({ master }) => (master ? [master] : []))
  return [...Map.groupBy(masters, String)].toSorted(([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1))
    .flatMap(([, [master, ...same]]) => (master ? [{ master, count: 1 + same.length }] : []))
}
