import type { LookupFunction } from 'node:net'
import { resolveHost } from '../probes/lib/resolve.ts'

/** Finds a server's addresses without libuv's pool, where a name server that is away would keep everything else waiting. `timeoutMs` is what it may take. */
export function lookupWithin(timeoutMs: number): LookupFunction {
  return (hostname, options, callback) => {
    const answer = async () => {
      const found = await addressesOf(hostname, timeoutMs)
      if (found instanceof Error) callback(found, '')
      else if (options.all) callback(null, found)
      else callback(null, found[0]?.address ?? '', found[0]?.family)
    }
    void answer()
  }
}

async function addressesOf(hostname: string, timeoutMs: number): Promise<{ address: string, family: number }[] | Error> {
  try {
    const found = await resolveHost(hostname, { ipProtocol: 'any', signal: AbortSignal.timeout(timeoutMs), deadline: performance.now() + timeoutMs })
    return found.map(({ ip, family }) => ({ address: ip, family }))
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}
