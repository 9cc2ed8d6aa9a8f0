import type { IngressFacts, IngressPath } from './path-objects.ts'

/** How requests for one host come into the cluster. */
export interface Way {
  readonly host: string
  /** `https://shop.example.org`. */
  readonly origin: string
  /** Where its listener is; undefined: at the addresses of the host. */
  readonly addresses?: readonly { readonly host: string, readonly port: number }[]
  readonly behind: Behind | undefined
}

/** The Service behind, where it can be asked for the same page. */
export interface Behind {
  readonly namespace: string | undefined
  readonly service: string
  /** Number or name. */
  readonly port: number | string
  /** undefined: as its port says. */
  readonly protocol: 'http' | 'https' | undefined
}

/** Each host of an Ingress, once, with what its rule that takes the annotated path leads to. */
export function waysOfIngress(ingress: IngressFacts): readonly Way[] {
  const hosts = new Map<string, IngressPath[]>()
  for (const { host, paths } of ingress.rules) {
    if (host !== '' && !host.includes('*')) hosts.set(host, [...hosts.get(host) ?? [], ...paths])
  }
  return [...hosts].flatMap(([host, paths]) => {
    const to = chosen(paths, ingress.path.replace(/\?.*/, ''))
    return to ? [{ host, origin: `${isTls(ingress, host) ? 'https' : 'http'}://${host}`, behind: behindOf(ingress, to) }] : []
  })
}

function behindOf({ namespace, backend: protocol, backendPath, rewrites }: IngressFacts, { service, port }: IngressPath): Behind | undefined {
  if (service === undefined || port === undefined || protocol === 'other' || (rewrites && backendPath === undefined)) return undefined
  return { namespace, service, port, protocol }
}

/** As the API documents it: exact before prefix, then the longest. */
function chosen(paths: readonly IngressPath[], path: string): IngressPath | undefined {
  return paths.filter((own) => takesPath(own.path, own.exact, path)).toSorted((a, b) => Number(b.exact) - Number(a.exact) || b.path.length - a.path.length)[0]
}

/** A prefix is one of whole elements. */
export function takesPath(own: string, exact: boolean, path: string): boolean {
  return exact ? own === path : own === '/' || path === own || path.startsWith(own.endsWith('/') ? own : `${own}/`) || `${path}/` === own
}

function isTls({ tls }: IngressFacts, host: string): boolean {
  const wildcard = host.replace(/^[^.]+/, '*')
  return tls.some((hosts) => hosts.length === 0 || hosts.includes(host) || hosts.includes(wildcard))
}
