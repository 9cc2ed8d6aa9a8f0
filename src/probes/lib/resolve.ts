import { isIP } from 'node:net'
import { explain } from '../../core/errors.ts'
import { ProbeFailure } from '../../core/probe.ts'
import { ask, encodeQuery, type Waiting } from './dns-client.ts'
import { isQueryName, RCODES, type Message } from './dns-message.ts'
import { systemResolver, type ResolverSystem, type Server } from './resolv-conf.ts'

export type IpProtocol = 'any' | 'ip4' | 'ip6'
export interface Address { readonly ip: string, readonly family: 4 | 6 }

export interface ResolveOptions {
  readonly ipProtocol: IpProtocol
  readonly signal: AbortSignal
  /** `performance.now()` at which the run ends: what is left is shared among the servers, so that a dead first one does not eat it all. */
  readonly deadline?: number | undefined
  /** Name servers, search list and hosts; this machine's unless given. */
  readonly system?: ResolverSystem
}

type Family = Address['family']

/** What one server, or all of them, say of one name. */
type Outcome =
  | { readonly kind: 'found', readonly addresses: readonly Address[] }
  | { readonly kind: 'missing' }
  /** An answer came, but it was an error. */
  | { readonly kind: 'error', readonly why: string }
  | { readonly kind: 'silent' }

/** What one server says of one family: as an outcome, and that the name exists without such addresses. */
type Reply = Outcome | { readonly kind: 'nodata' }

/** No try is shorter while there is time for one of each server: glibc's own lower bound. */
const LEAST_TRY_MS = 1_000
/** How long the other family is waited for once one has addresses, and the share of the run that it may take: some networks drop every AAAA question. */
const OTHER_FAMILY_MS = 1_000
const OTHER_FAMILY_SHARE = 0.25
/** Kept back from the run's time to say who was silent. */
const MARGIN_MS = 10

/**
 * The addresses of a host, in the order of their use: IPv4 first, since most clusters have IPv6 names without IPv6
 * routes, and a probe must not accuse a target for that; within a family as the source gave them.
 *
 * Literal IPs are returned as they are. Otherwise the hosts file, then loopback for localhost (RFC 6761), then DNS with
 * search list and ndots as glibc's resolver does it. 'any' asks for A and AAAA at the same time. Never uses libuv's
 * pool, never caches an answer: the probe wants to see what is true now.
 *
 * Throws ProbeFailure('resolve_not_found' | 'resolve_timeout' | 'resolve_other'); rejects with signal.reason when
 * aborted, and with the errno error when this machine is at fault.
 */
export async function resolveHost(host: string, options: ResolveOptions): Promise<readonly Address[]> {
  const { ipProtocol, signal, system = systemResolver() } = options
  signal.throwIfAborted()
  const literal = address(host)
  if (literal) return [literal]

  const families: readonly Family[] = ipProtocol === 'any' ? [4, 6] : [ipProtocol === 'ip4' ? 4 : 6]
  const key = host.toLowerCase().replace(/\.$/, '')
  const known = inOrder(families, (system.hosts.get(key) ?? []).flatMap((ip) => address(ip) ?? []))
  if (known.length > 0) return known
  if (key === 'localhost' || key.endsWith('.localhost')) return inOrder(families, [{ ip: '127.0.0.1', family: 4 }, { ip: '::1', family: 6 }])

  // Without any name server glibc asks the one on this host.
  const servers = system.servers.length > 0 ? [...system.servers] : [{ ip: '127.0.0.1', port: 53 }]
  let error: string | undefined
  for (const name of candidates(host, system)) {
    const outcome = await askAll(servers, name, families, system, options)
    switch (outcome.kind) {
      case 'found': return inOrder(families, outcome.addresses)
      case 'silent': throw new ProbeFailure('resolve_timeout', `none of the name servers ${servers.map(serverName).join(', ')} answered for ${name}`)
      // As in glibc, a candidate whose lookup fails does not keep the next one from being tried.
      case 'error': error ??= outcome.why; break
      case 'missing':
    }
  }
  if (error !== undefined) throw new ProbeFailure('resolve_other', error)
  throw new ProbeFailure('resolve_not_found', `${host} has no ${families.map((family) => (family === 4 ? 'IPv4' : 'IPv6')).join(' or ')} address`)
}

/** The absolute names to ask for, in order, without final dots (resolv.conf(5), `search` and `ndots`). */
export function candidates(host: string, { search, ndots }: Pick<ResolverSystem, 'search' | 'ndots'>): readonly string[] {
  if (host.endsWith('.')) return [host.slice(0, -1)].filter(isQueryName)
  const searched = search.map((domain) => (domain === '.' ? host : `${host}.${domain}`))
  const dots = host.split('.').length - 1
  const names = dots >= ndots ? [host, ...searched] : [...searched, host]
  return [...new Set(names)].filter(isQueryName)
}

function address(ip: string): Address | undefined {
  switch (isIP(ip)) {
    case 4: return { ip, family: 4 }
    case 6: return { ip, family: 6 }
    default: return undefined
  }
}

function inOrder(families: readonly Family[], addresses: readonly Address[]): readonly Address[] {
  return families.flatMap((family) => addresses.filter((each) => each.family === family))
}

function serverName({ ip, port }: Server): string {
  return port === 53 ? ip : `${ip} port ${port}`
}

/**
 * Asks the servers in turn until one knows. A silent one moves to the end of `servers`, so that the next candidate does
 * not wait for it again. Further rounds only when nobody answered: an error is not lost on the way, it is an answer.
 */
async function askAll(
  servers: Server[], name: string, families: readonly Family[],
  { timeoutMs, attempts }: ResolverSystem, { signal, deadline = Infinity }: ResolveOptions,
): Promise<Outcome> {
  let error: Outcome | undefined
  let ours: Error | undefined
  for (let round = 1; round <= attempts && !error; round++) {
    for (const [index, server] of [...servers].entries()) {
      const now = performance.now()
      const left = deadline - MARGIN_MS - now
      if (left <= 0) break
      const tries = servers.length * (attempts - round + 1) - index
      // Where not even the least is there for all, each has its share: nobody is called silent who was never asked.
      const least = Math.min(LEAST_TRY_MS, left / (servers.length - index))
      const waitMs = Math.min(timeoutMs, left, Math.max(least, left / tries))
      const outcome = await askServer(server, name, families, { signal, giveUpAt: now + waitMs, graceMs: Math.min(OTHER_FAMILY_MS, left * OTHER_FAMILY_SHARE) }, (trouble) => { ours ??= trouble })
      if (outcome.kind === 'found' || outcome.kind === 'missing') return outcome
      if (outcome.kind === 'error') error = outcome
      else servers.push(...servers.splice(servers.indexOf(server), 1))
    }
  }
  if (!error && ours !== undefined) throw ours
  return error ?? { kind: 'silent' }
}

/** Asks one server for all families at once and makes one outcome of what comes. */
async function askServer(
  server: Server, name: string, families: readonly Family[], { signal, giveUpAt, graceMs }: Waiting & { readonly graceMs: number }, onOurs: (error: Error) => void,
): Promise<Outcome> {
  const enough = new AbortController()
  let grace: NodeJS.Timeout | undefined
  const waiting = { signal: AbortSignal.any([signal, enough.signal]), giveUpAt }
  try {
    const replies = await Promise.all(families.map(async (family): Promise<Reply> => {
      try {
        const reply = judge(await ask(server, encodeQuery(name, family === 4 ? 'A' : 'AAAA'), waiting), family, server)
        if (reply.kind === 'found') grace ??= setTimeout(() => enough.abort(), graceMs)
        // NXDOMAIN is about the name, whatever the type.
        if (reply.kind === 'missing') enough.abort()
        return reply
      } catch (error) {
        signal.throwIfAborted()
        return enough.signal.aborted ? { kind: 'silent' } : excuse(error, server, onOurs)
      }
    }))
    const addresses = replies.flatMap((reply) => (reply.kind === 'found' ? reply.addresses : []))
    if (addresses.length > 0) return { kind: 'found', addresses }
    if (replies.some(({ kind }) => kind === 'missing') || replies.every(({ kind }) => kind === 'nodata')) return { kind: 'missing' }
    return replies.find((reply) => reply.kind === 'error') ?? { kind: 'silent' }
  } finally {
    clearTimeout(grace)
    enough.abort()
  }
}

/** What an answer says. Records are taken wherever they stand behind their CNAMEs: the server has followed them. */
function judge({ rcode, answers, counts, authoritative, recursionAvailable }: Message, family: Family, server: Server): Reply {
  if (rcode === 3) return { kind: 'missing' }
  if (rcode !== 0) return { kind: 'error', why: `name server ${serverName(server)} answered ${RCODES[rcode]}` }
  const ips = new Set(answers.filter(({ type }) => type === (family === 4 ? 'A' : 'AAAA')).map(({ value }) => value))
  // As in glibc: a server that neither knows nor looks elsewhere says nothing about the name.
  if (counts.answers + counts.additionals === 0 && !authoritative && !recursionAvailable) {
    return { kind: 'error', why: `name server ${serverName(server)} does not resolve for this client` }
  }
  return ips.size === 0 ? { kind: 'nodata' } : { kind: 'found', addresses: Array.from(ips, (ip) => ({ ip, family })) }
}

/**
 * What a question without a usable answer says of the server. An error of this machine is told: it may concern the way to
 * this one server only (a packet filter, a route), so the next one is asked. Throws what is a bug.
 */
function excuse(error: unknown, server: Server, onOurs: (error: Error) => void): Reply {
  if (error instanceof ProbeFailure) {
    // Packets that answer another question may be anybody's: of this server nothing was heard.
    return error.code === 'dns_garbage' ? { kind: 'error', why: `name server ${serverName(server)}: ${error.message}` } : { kind: 'silent' }
  }
  if (explain(error, 'resolve', {}).status === 'unknown') {
    if (!(error instanceof Error && 'syscall' in error)) throw error
    onOurs(error)
  }
  return { kind: 'silent' }
}
