import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import type { Guard } from '../../core/probe.ts'

/** Addresses of cloud metadata services outside the link-local ranges: of AWS over IPv6, Alibaba Cloud, Azure. */
const METADATA: ReadonlySet<string> = new Set(['fd00:ec2::254', '100.100.100.200', '168.63.129.16'])
const INNER: Readonly<Record<string, number>> = { unicast: 0, private: 1, uniqueLocal: 1, carrierGradeNat: 1, loopback: 2 }
const INNERMOST = 3
/** Where nobody's service is but that of this machine, or of what it runs on. */
const OF_THIS_MACHINE: ReadonlySet<string> = new Set(['loopback', 'linkLocal', 'unspecified', 'multicast', 'broadcast'])

/** What to look a host up by: a name that a tenant chose as it stands, without a search list. */
export function askedFor(host: string, guard: Guard | undefined): string {
  return guard === 'name' && isIP(host) === 0 && !host.endsWith('.') ? `${host}.` : host
}

/** How far inside an address lies: 0 the internet, 1 private networks, 2 loopback, 3 link-local, metadata and what is no address. */
export function innerness(ip: string): number {
  if (!ipaddr.isValid(ip)) return INNERMOST
  const address = ipaddr.process(ip)
  return METADATA.has(address.toString()) ? INNERMOST : INNER[address.range()] ?? INNERMOST
}

/** Whether an address means this machine, its link or its cloud's metadata: where nobody leads Curlew but its own config. */
export function isOwnGround(ip: string): boolean {
  if (!ipaddr.isValid(ip)) return true
  const address = ipaddr.process(ip)
  return METADATA.has(address.toString()) || OF_THIS_MACHINE.has(address.range())
}
