import type { Reply } from './redis-client.ts'

/** `sentinel` answers too, but is no Redis server. */
export type Role = 'master' | 'replica' | 'sentinel'

const ROLES: Readonly<Record<string, Role>> = { master: 'master', slave: 'replica', replica: 'replica', sentinel: 'sentinel' }

export interface RoleFacts {
  readonly role: Role
  /** Of a replica: whether it is connected to its master. */
  readonly linkUp?: boolean
}

/** The fields of INFO, as text, by name; a name that stands twice keeps its last value. */
export type Info = ReadonlyMap<string, string>

/** Reads INFO: lines `name:value`, sections as `# Name`. */
export function parseInfo(text: string): Info {
  const fields = new Map<string, string>()
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':')
    if (colon > 0 && !line.startsWith('#')) fields.set(line.slice(0, colon), line.slice(colon + 1).trimEnd())
  }
  return fields
}

/** Reads ROLE: `[master, offset, replicas]`, `[slave, host, port, link state, offset]`, `[sentinel, names]`; undefined for anything else. */
export function parseRole(reply: Reply): RoleFacts | undefined {
  if (!Array.isArray(reply)) return undefined
  const role = ROLES[String(reply[0])]
  if (role === undefined) return undefined
  return role === 'replica' ? { role, linkUp: reply[3] === 'connected' } : { role }
}

/** The role as INFO tells it, for users that may not call ROLE. */
export function roleOfInfo(info: Info): RoleFacts | undefined {
  if (info.get('redis_mode') === 'sentinel') return { role: 'sentinel' }
  const role = ROLES[info.get('role') ?? '']
  if (role === undefined) return undefined
  return role === 'replica' ? { role, linkUp: info.get('master_link_status') === 'up' } : { role }
}

/** A field of INFO as a number; undefined when it is missing or none. */
export function numberOf(info: Info, field: string): number | undefined {
  const text = info.get(field)
  return text !== undefined && /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : undefined
}

/** One field over another; undefined where either is unknown or there is no limit (0). */
export function ratioOf(info: Info, used: string, limit: string): number | undefined {
  const [part, whole] = [numberOf(info, used), numberOf(info, limit)]
  return part === undefined || whole === undefined || whole <= 0 ? undefined : part / whole
}

/** Whether any key may be evicted where memory has a limit, as 0 or 1; undefined without a limit, or where the policy is not known. */
export function evictsAny(info: Info): number | undefined {
  const policy = info.get('maxmemory_policy')
  return policy === undefined || !((numberOf(info, 'maxmemory') ?? 0) > 0) ? undefined : Number(policy.startsWith('allkeys-'))
}

/**
 * Bytes of the replication stream that are not applied yet. A master knows what each replica has acknowledged (once a
 * second): the slowest counts. A replica knows what it has received and not applied (slave_read_repl_offset, from 7.0).
 */
export function lagBytes(info: Info): number | undefined {
  if (info.get('role') === 'master') {
    const offset = numberOf(info, 'master_repl_offset')
    if (offset === undefined) return undefined
    const behind: number[] = []
    for (const [name, value] of info) {
      if (!/^slave\d+$/.test(name) || !value.includes('state=online')) continue
      const acknowledged = /(?:^|,)offset=(\d+)/.exec(value)?.[1]
      if (acknowledged !== undefined) behind.push(Math.max(0, offset - Number(acknowledged)))
    }
    return behind.length > 0 ? Math.max(...behind) : undefined
  }
  const read = numberOf(info, 'slave_read_repl_offset')
  const applied = numberOf(info, 'slave_repl_offset')
  return read === undefined || applied === undefined ? undefined : Math.max(0, read - applied)
}
