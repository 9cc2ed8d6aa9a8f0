import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import { ProbeFailure, type Mode, type ProbeContext } from '../../core/probe.ts'
import type { Secret } from '../../core/secrets.ts'
import { loader } from './loader.ts'
import type { RedisClient } from './redis-client.ts'
import { redisFailure, type RedisCode } from './redis-codes.ts'
import { parseInfo, parseRole, roleOfInfo, type Info, type RoleFacts } from './redis-info.ts'
import { secure, tlsFailure, type TlsOptions } from './tls.ts'
import type { TlsGauge } from './tls-gauges.ts'

/** The key is gone by itself after this, should its removal be forbidden or fail. */
const KEY_LIFETIME_MS = 30_000

/** What a server wants to know before it serves. */
export interface RedisLogin {
  readonly username?: string | undefined
  readonly password?: Secret | undefined
  readonly db?: number | undefined
}

/** Loads ioredis, which takes a while the first time. */
export const loadClient = loader(() => import('./redis-client.ts'))

/** A client on a connected socket, behind TLS (phase `tls`) where that is asked for. */
export async function openClient(
  probe: ProbeContext<'tls', TlsGauge, never>, socket: Socket, host: string, options: TlsOptions & { readonly tls: boolean },
): Promise<RedisClient> {
  const { openRedis } = await loadClient()
  if (!options.tls) return openRedis(socket)
  return openRedis(await secure(probe, socket, host, options), (error) => tlsFailure(error, options) ?? error)
}

/** A phase of its own, `auth`, when there is anything to log in with. */
export async function logIn(probe: ProbeContext<'auth', never, never>, client: RedisClient, { username, password, db = 0 }: RedisLogin): Promise<void> {
  if (username === undefined && password === undefined && db === 0) return
  await probe.phase('auth', async () => {
    if (username !== undefined || password !== undefined) {
      await client.call('AUTH', ...(username === undefined ? [] : [username]), password?.reveal() ?? '')
    }
    if (db !== 0) await client.call('SELECT', db)
  })
}

/** Who answers. Without a right to ROLE the role is that of INFO, without a right to INFO there is none of it. */
export async function askServer(client: RedisClient): Promise<{ readonly facts: RoleFacts, readonly info: Info }> {
  const reply = await ifAllowed(() => client.call('ROLE'))
  const role = reply instanceof ProbeFailure ? reply : parseRole(reply)
  if (role === undefined) throw redisFailure('redis_protocol', 'ROLE is not answered as Redis answers it')
  const text = await ifAllowed(() => client.call('INFO'))
  const info = parseInfo(typeof text === 'string' ? text : '')
  if (!(role instanceof ProbeFailure)) return { facts: role, info }
  const facts = roleOfInfo(info)
  // Without a role nothing may be written: then the refusal of ROLE is what is wrong.
  if (!facts) throw role
  return { facts, info }
}

/** Does to a server what its role and the mode allow. Nothing is ever written to a replica, not even to a writable one. */
export async function useServer(client: RedisClient, { role }: RoleFacts, mode: Mode, key: string): Promise<void> {
  if (mode === 'read-only') await client.call('PING')
  else if (role === 'replica') await client.call('GET', key)
  else await writeAndRead(client, key)
}

/** Writes a value with a time to live, reads it back and removes it. */
async function writeAndRead(client: RedisClient, key: string): Promise<void> {
  const nonce = randomUUID()
  await client.call('SET', key, nonce, 'PX', KEY_LIFETIME_MS)
  const value = await client.call('GET', key)
  // Clients suffer from a SET or GET that fails; a key that may not be removed goes by itself.
  await ifAllowed(() => client.call('UNLINK', key))
  if (value !== nonce) throw redisFailure('redis_wrong_value', value === null ? 'the key that was just written is gone' : `wrote ${nonce}, read ${JSON.stringify(value).slice(0, 80)}`)
}

/** Gives a failure a code of the caller's own, where the line that Redis sent begins as one of these. */
export async function withOwnCodes<T>(lines: Readonly<Record<string, string>>, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const own = error instanceof ProbeFailure ? Object.entries(lines).find(([beginning]) => error.message.startsWith(beginning)) : undefined
    throw own && error instanceof ProbeFailure ? new ProbeFailure(own[1], error.message) : error
  }
}

/** The reply, or the refusal where the user may not call the command or the server (or a proxy) does not have it. */
export async function ifAllowed<T>(call: () => Promise<T>): Promise<T | ProbeFailure> {
  try {
    return await call()
  } catch (error) {
    const refused: readonly string[] = ['redis_noperm', 'redis_unknown_command'] satisfies RedisCode[]
    if (error instanceof ProbeFailure && refused.includes(error.code)) return error
    throw error
  }
}
