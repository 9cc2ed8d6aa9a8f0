import { networkInterfaces } from 'node:os'

/** The addresses of this machine's interfaces; undefined where they cannot be listed, for want of a file descriptor say: then nothing follows from them. */
export function addressesHere(): ReadonlySet<string> | undefined {
  try {
    return new Set(Object.values(networkInterfaces()).flatMap((all) => all?.map(({ address }) => address) ?? []))
  } catch {
    return undefined
  }
}
