import type { Found, Refused } from './source.ts'

/**
 * What `curlew.dev/depends-on` names, as names of probes: of the tenant's own namespace first, else of the config. What is
 * neither is left out and told, and so is a dependency that would close a circle: a circle explains nothing.
 */
export function resolveDependencies(all: readonly Found[], others: ReadonlySet<string>, config: ReadonlySet<string>): { readonly of: ReadonlyMap<Found, readonly string[]>, readonly refused: readonly Refused[] } {
  const own = new Map<string, string[]>()
  const names = new Set([...others, ...all.map(({ entry }) => entry.name)])
  const of = new Map<Found, readonly string[]>()
  const refused: Refused[] = []
  for (const found of all) {
    if (!found.dependsOn || found.dependsOn.length === 0) continue
    const refuse = (message: string) => refused.push({ object: found.object, namespace: found.namespace, message: `curlew.dev/depends-on: ${message}` })
    const resolved: string[] = []
    for (const { own: mine, config: theirs } of found.dependsOn) {
      if (names.has(mine)) {
        if (leadsTo(mine, found.entry.name, own)) refuse(`${theirs}: a circle of dependencies`)
        else {
          resolved.push(mine)
          own.set(found.entry.name, [...own.get(found.entry.name) ?? [], mine])
        }
      } else if (config.has(theirs)) resolved.push(theirs)
      else refuse(`${theirs}: expected a probe of the same namespace or of Curlew's config`)
    }
    of.set(found, resolved)
  }
  return { of, refused }
}

/** No recursion: a chain may be as long as the quota. */
function leadsTo(from: string, to: string, own: ReadonlyMap<string, readonly string[]>): boolean {
  const seen = new Set<string>()
  const open = [from]
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (name === to) return true
    if (seen.has(name)) continue
    seen.add(name)
    open.push(...own.get(name) ?? [])
  }
  return false
}
