import { createSocket } from 'node:dgram'
import type { CodeSpec } from '../core/codes.ts'
import { byCode, explain } from '../core/errors.ts'
import type { Failure, Layer } from '../core/result.ts'
import { redact } from '../core/secrets.ts'
import type { Address } from '../probes/lib/resolve.ts'

const DISCARD_PORT = 9

/** What an error says of a layer, ready to be shown. */
export function failureOf(error: unknown, layer: Layer, codes: Readonly<Record<string, CodeSpec>> = {}): Failure {
  const { failure } = explain(error, layer, codes)
  return { ...failure, message: redact(failure.message) }
}

/** As `failureOf` for an address; that this machine knows no way there, an IPv6 address without IPv6 say, is no fault of the address. */
export async function unreachedFailure(error: unknown, layer: Layer, address: Address, codes: Readonly<Record<string, CodeSpec>> = {}): Promise<Failure> {
  const failure = failureOf(error, layer, codes)
  if (failure.code !== 'network_unreachable' || await hasRoute(address)) return failure
  return byCode('prober_no_network', `this machine has no route to ${address.ip}`, layer, codes).failure
}

/** Whether this machine knows a way to an address: a UDP socket that is connected looks for one, and sends nothing. */
function hasRoute({ ip, family }: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket(family === 6 ? 'udp6' : 'udp4')
    const end = (found: boolean) => {
      socket.close()
      resolve(found)
    }
    socket.once('connect', () => end(true)).once('error', () => end(false)).connect(DISCARD_PORT, ip)
  })
}

/** Seconds since a `performance.now()`, to the microsecond. */
export function secondsSince(began: number): number {
  return Math.round((performance.now() - began) * 1_000) / 1e6
}
