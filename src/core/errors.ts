import { networkInterfaces } from 'node:os'
import { SHARED_CODES, type CodeSpec } from './codes.ts'
import { ProbeFailure } from './probe.ts'
import type { Failure, Layer } from './result.ts'

/** Errors of the operating system that are about this machine, never about the target. */
const OURS: Readonly<Record<string, keyof typeof SHARED_CODES>> = {
  EMFILE: 'prober_no_files', ENFILE: 'prober_no_files',
  ENOMEM: 'prober_no_memory', ENOBUFS: 'prober_no_memory',
  EADDRNOTAVAIL: 'prober_no_ports', EADDRINUSE: 'prober_no_ports',
  EACCES: 'prober_denied', EPERM: 'prober_denied',
}

/** Errors of the operating system that the network or the target caused; the layer follows the phase where it is left open. */
const THEIRS: Readonly<Record<string, 'refused' | 'reset' | 'timeout' | 'unreachable'>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset', EPIPE: 'reset', ECONNABORTED: 'reset',
  ETIMEDOUT: 'timeout',
  EHOSTUNREACH: 'unreachable', ENETUNREACH: 'unreachable', EHOSTDOWN: 'unreachable', ENETDOWN: 'unreachable',
}

export type Explained = { readonly status: 'failed' | 'unknown', readonly failure: Failure, readonly unmapped: boolean }

/**
 * Turns whatever a probe threw into a status and a failure. `failed` needs proof that the target or the network is at
 * fault: a `ProbeFailure`, or an error of the network. Everything else was raised on our side and is `unknown`.
 */
export function explain(error: unknown, layer: Layer, codes: Readonly<Record<string, CodeSpec>>): Explained {
  const message = error instanceof Error ? error.message : String(error)
  if (error instanceof ProbeFailure) return byCode(error.code, message, layer, codes)

  const errno = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
  if (errno === undefined) return byCode('prober_bug', message, layer, codes)
  const ours = OURS[errno]
  if (ours) return byCode(ours, message, layer, codes)
  if (isThrownAway(error, errno)) return byCode('prober_denied', `a route of this machine throws packets away: ${message}`, layer, codes)
  switch (THEIRS[errno]) {
    case 'refused': return byCode('connect_refused', message, layer, codes)
    case 'unreachable': return byCode(hasNetwork() ? 'network_unreachable' : 'prober_no_network', message, layer, codes)
    case 'reset': return byCode(layerCode(layer, 'reset'), message, layer, codes)
    case 'timeout': return byCode(layerCode(layer, 'timeout'), message, layer, codes)
    default: return byCode('prober_bug', `${errno}: ${message}`, layer, codes)
  }
}

/** Whether a blackhole route of this machine took the packet. An address that means nothing without its interface (link-local, to one or to many) has the same errno. */
function isThrownAway(error: unknown, errno: string): boolean {
  if (errno !== 'EINVAL' || !(error instanceof Error && 'syscall' in error && 'address' in error)) return false
  return ['connect', 'send'].includes(String(error.syscall)) && !/^f(e[89ab]|f.[12])/i.test(String(error.address))
}

/** The failure that a run has which ended by its timeout in a phase of this layer. */
export function timedOut(layer: Layer, timeoutMs: number, codes: Readonly<Record<string, CodeSpec>>): Explained {
  return byCode(layerCode(layer, 'timeout'), `no answer within ${timeoutMs} ms`, layer, codes)
}

/** The failure for a code, with the pair from the type's table or the shared one. */
export function byCode(code: string, message: string, layer: Layer, codes: Readonly<Record<string, CodeSpec>>): Explained {
  const table: Readonly<Record<string, CodeSpec>> = SHARED_CODES
  const spec = codes[code] ?? table[code]
  if (!spec) return byCode('prober_bug', `unlisted code ${code}: ${message}`, layer, codes)
  const at = spec.layer ?? layer
  return {
    status: at === 'prober' ? 'unknown' : 'failed',
    failure: { layer: at, reason: spec.reason, code, message },
    unmapped: spec.unmapped === true,
  }
}

/** `connect_timeout`, `auth_reset` and so on; a phase of ours that times out or resets is a bug of ours. */
function layerCode(layer: Layer, reason: 'timeout' | 'reset'): string {
  const code = `${layer === 'assert' ? 'request' : layer}_${reason}`
  return code in SHARED_CODES ? code : 'prober_bug'
}

/** Whether any interface but loopback is up: without one, "unreachable" says nothing about a target. */
function hasNetwork(): boolean {
  try {
    return Object.values(networkInterfaces()).some((addresses) => addresses?.some((address) => !address.internal))
  } catch {
    // It takes a file descriptor to ask. Without an answer nobody is accused.
    return false
  }
}
