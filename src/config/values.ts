import { HIDDEN } from '../core/secrets.ts'
import { pathText } from '../core/yaml.ts'
import type { ConfigDocument } from './document.ts'
import type { EntryIssue } from './issues.ts'

/** `password: ${PIN}` is read as a number; where the schema wants a text it is given as one. */
export function textsFor(document: ConfigDocument, path: readonly PropertyKey[], issues: readonly EntryIssue[]) {
  return issues.filter((issue) => issue.wantsText).flatMap((issue) => {
    const whole = pathText([...path, ...issue.path])
    const found = document.substituted.find((one) => pathText(one.path) === whole)
    return found ? [{ path: issue.path, text: found.text }] : []
  })
}

/** The value without userinfo in URLs, and with these paths hidden. */
export function withHidden(written: unknown, paths: readonly PropertyKey[][]): unknown {
  const hideUserinfo = (value: unknown): unknown => {
    if (typeof value === 'string') return value.replace(/(:\/\/)[^/?#\s]*@/g, `$1${HIDDEN}@`)
    if (Array.isArray(value)) return value.map(hideUserinfo)
    if (isMapping(value)) return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, hideUserinfo(inner)]))
    return value
  }
  const clean = hideUserinfo(written)
  return isMapping(clean) ? paths.reduce((changed, path) => hasPath(changed, path) ? withValue(changed, path, HIDDEN) : changed, clean) : clean
}

function hasPath(value: unknown, path: readonly PropertyKey[]): boolean {
  const [key, ...rest] = path
  if (key === undefined) return true
  if (Array.isArray(value)) return hasPath(value[Number(key)], rest)
  return isMapping(value) && String(key) in value && hasPath(value[String(key)], rest)
}

/** The same with another value at this path. */
export function withValue(root: Readonly<Record<string, unknown>>, path: readonly PropertyKey[], value: unknown): Record<string, unknown> {
  const put = (node: unknown, [key, ...rest]: readonly PropertyKey[]): unknown => {
    if (key === undefined) return value
    if (Array.isArray(node)) return node.map((inner: unknown, index) => (index === Number(key) ? put(inner, rest) : inner))
    return { ...isMapping(node) ? node : {}, [String(key)]: put(isMapping(node) ? node[String(key)] : undefined, rest) }
  }
  const changed = put(root, path)
  return isMapping(changed) ? changed : { ...root }
}

export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
