import { isIP } from 'node:net'
import type { Finding } from '../core/diagnosis.ts'
import type { Guard } from '../core/probe.ts'
import type { Way } from '../core/way.ts'
import { askedFor } from '../probes/lib/inner.ts'
import { systemResolver, type Server } from '../probes/lib/resolv-conf.ts'
import { resolveHost, type Address } from '../probes/lib/resolve.ts'
import { failureOf, secondsSince } from './failure.ts'

const WITHIN_MS = 3_000
/** A packet that is lost makes no server silent: as every resolver, we ask again. */
const TRIES = 2
/** Addresses of a host that are looked at. */
const MOST_ADDRESSES = 8

export interface LookedUp {
  readonly findings: readonly Finding[]
  readonly addresses: readonly Address[]
}

/** What every name server of this machine says of a host, each asked by itself; what stands on this machine is taken from there. Never rejects but with the signal's reason. */
export async function lookUp({ host, ip, ipProtocol }: Way, signal: AbortSignal, guard?: Guard): Promise<LookedUp> {
  const system = systemResolver()
  const local = ip !== undefined || isIP(host) !== 0 ? 'literal' : isKnownHere(host, system.hosts) ? 'this_machine' : undefined
  if (local) {
    const addresses = await resolveHost(ip ?? host, { ipProtocol, signal }).catch(() => [])
    return { findings: [{ kind: 'addresses', host, source: local, addresses: addresses.map((address) => address.ip) }], addresses: addresses.slice(0, MOST_ADDRESSES) }
  }

  const servers = system.servers.length > 0 ? system.servers : [{ ip: '127.0.0.1', port: 53 }]
  const answers = await Promise.all(servers.map(async (server): Promise<{ readonly finding: Finding, readonly addresses: readonly Address[] }> => {
    const began = performance.now()
    const asked = { kind: 'name_server', host, server: textOf(server) } as const
    try {
      const addresses = await resolveHost(askedFor(host, guard), { ipProtocol, signal, deadline: began + WITHIN_MS, system: { ...system, servers: [server], attempts: TRIES } })
      return { finding: { ...asked, seconds: secondsSince(began), addresses: addresses.map((address) => address.ip) }, addresses }
    } catch (error) {
      signal.throwIfAborted()
      return { finding: { ...asked, seconds: secondsSince(began), addresses: [], failure: failureOf(error, 'resolve') }, addresses: [] }
    }
  }))
  const every = new Map(answers.flatMap(({ addresses }) => addresses.map((address) => [address.ip, address])))
  return { findings: answers.map(({ finding }) => finding), addresses: [...every.values()].slice(0, MOST_ADDRESSES) }
}

/** The hosts file, and names that never leave the machine (RFC 6761). */
function isKnownHere(host: string, hosts: ReadonlyMap<string, unknown>): boolean {
  const key = host.toLowerCase().replace(/\.$/, '')
  return hosts.has(key) || key === 'localhost' || key.endsWith('.localhost')
}

function textOf({ ip, port }: Server): string {
  return port === 53 ? ip : isIP(ip) === 6 ? `[${ip}]:${port}` : `${ip}:${port}`
}
