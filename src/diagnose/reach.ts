import type { X509Certificate } from 'node:crypto'
import type { Finding, SentCertificate } from '../core/diagnosis.ts'
import { timedOut } from '../core/errors.ts'
import type { TlsOptions } from '../core/way.ts'
import { connectTcp } from '../probes/lib/dns-client.ts'
import type { Address } from '../probes/lib/resolve.ts'
import { distinguishedName, namesOf } from '../probes/lib/tls-gauges.ts'
import { awaitRefusal, shakeHands } from '../probes/lib/tls.ts'
import { failureOf, secondsSince, unreachedFailure } from './failure.ts'

const CONNECT_MS = 2_000
const HANDSHAKE_MS = 3_000
/** Certificates of a chain, and names of each, that are told. */
const MOST_CERTIFICATES = 6
const MOST_NAMES = 10

/** Opens a TCP connection and closes it. Rejects only with the signal's reason. */
export async function connectTo(address: Address, port: number, signal: AbortSignal): Promise<Finding> {
  const { ip } = address
  const began = performance.now()
  const tried = { kind: 'connection', address: ip, port } as const
  try {
    const socket = await connectTcp({ ip, port }, { signal, giveUpAt: began + CONNECT_MS })
    socket.destroy()
    return { ...tried, seconds: secondsSince(began) }
  } catch (error) {
    signal.throwIfAborted()
    return { ...tried, seconds: secondsSince(began), failure: await unreachedFailure(error, 'connect', address) }
  }
}

/** A TLS handshake on a connection of its own, with what the server sends, verified or not. Rejects only with the signal's reason. */
export async function handshakeWith({ ip }: Address, port: number, host: string, tls: TlsOptions, signal: AbortSignal): Promise<Finding> {
  const began = performance.now()
  const tried = { kind: 'handshake', address: ip, port } as const
  const stop = AbortSignal.any([signal, AbortSignal.timeout(HANDSHAKE_MS)])
  let sent: readonly X509Certificate[] = []
  try {
    const socket = await connectTcp({ ip, port }, { signal, giveUpAt: began + CONNECT_MS })
    const silent = Promise.withResolvers<never>()
    silent.promise.catch(() => {})
    stop.addEventListener('abort', () => {
      silent.reject(stop.reason)
      socket.destroy()
    }, { once: true })
    try {
      const work = shakeHands({ phase: async (_name, shake) => shake(), gauge() {} }, socket, host, tls, [], (certificates) => { sent = certificates })
      const { socket: secured, failure } = await Promise.race([work, silent.promise])
      const version = secured.getProtocol() ?? undefined
      try {
        if (failure) throw failure
        // With TLS 1.3 a server says only after the handshake that it wants a client certificate.
        await awaitRefusal({ signal: stop, deadline: began + HANDSHAKE_MS }, secured, tls)
      } finally {
        secured.destroy()
      }
      return { ...tried, seconds: secondsSince(began), ...(version === undefined ? {} : { version }), certificates: sent.slice(0, MOST_CERTIFICATES).map(shown) }
    } finally {
      socket.destroy()
    }
  } catch (error) {
    signal.throwIfAborted()
    const failure = stop.aborted ? timedOut('tls', HANDSHAKE_MS, {}).failure : failureOf(error, 'tls')
    return { ...tried, seconds: secondsSince(began), certificates: sent.slice(0, MOST_CERTIFICATES).map(shown), failure }
  }
}

function shown(certificate: X509Certificate): SentCertificate {
  return {
    subject: distinguishedName(certificate.subject),
    issuer: distinguishedName(certificate.issuer),
    names: namesOf(certificate).slice(0, MOST_NAMES),
    not_before: certificate.validFromDate.toISOString(),
    not_after: certificate.validToDate.toISOString(),
  }
}
