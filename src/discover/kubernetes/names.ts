import { createHash } from 'node:crypto'

const LONGEST = 63
const HASH_DIGITS = 8

/** A probe's name of what objects are called: lower case, and shortened with a hash where it is too long; undefined where nothing of it can stand in one. */
export function probeName(text: string): string | undefined {
  const clean = text.toLowerCase().replaceAll(/[^a-z0-9_-]/g, '-').replace(/^[-_]+/, '')
  if (clean === '') return undefined
  if (clean.length <= LONGEST) return clean
  return `${clean.slice(0, LONGEST - HASH_DIGITS - 1)}-${createHash('sha256').update(text).digest('hex').slice(0, HASH_DIGITS)}`
}

/**
 * What stands before every probe of a namespace. No namespace and no object has a `_` in its name: what stands before the
 * first one (the second, where there are several clusters) tells whose the probe is, and no tenant can take another's name.
 */
export function namePrefix(cluster: string | undefined, namespace: string | undefined): string {
  return `${cluster === undefined ? '' : `${cluster.toLowerCase().replaceAll(/[^a-z0-9-]/g, '-')}_`}${namespace === undefined ? '' : `${namespace}_`}`
}

/** A host and a port as they stand in a target. */
export function hostPortText(host: string, port: number | undefined): string {
  const bare = host.includes(':') ? `[${host}]` : host
  return port === undefined ? bare : `${bare}:${port}`
}

/** An object as people name it: `Service shop/redis`, `Node worker-1`. */
export function objectText(kind: string, { namespace, name }: { readonly namespace?: string | undefined, readonly name: string }): string {
  return `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`
}

/** By code units, the same on every machine. */
export function byText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}
