import { z } from 'zod'
import { nearest } from '../core/nearest.ts'
import { notifySchema, type NotifyConfig } from '../notify/options.ts'
import { notifyIssues } from '../notify/rules.ts'
import type { ConfigDocument } from './document.ts'
import { flatten, type EntryIssue } from './issues.ts'
import { secretPaths } from './jobs.ts'
import { isMapping, textsFor, withValue } from './values.ts'

export interface NotifySection {
  readonly notify: NotifyConfig
  /** What `notifySchema` made it from: plain JSON, secrets included. For a process that reads it once more, and for no eye. */
  readonly raw: unknown
  /** Paths in the file. */
  readonly secrets: readonly PropertyKey[][]
  /** What its author wrote for others to see: not a secret although it came through `${}`. */
  readonly open: readonly string[]
}

/** Reads the section `notify:` of a file: the section, or every mistake in it, with paths in the file. */
export function readNotify(document: ConfigDocument, authenticated: boolean): { readonly section: NotifySection } | { readonly section?: undefined, readonly issues: readonly EntryIssue[] } {
  const given = isMapping(document.value) ? document.value['notify'] : undefined
  let raw = given
  let read = notifySchema.safeParse(raw)
  if (!read.success && isMapping(given)) {
    const texts = textsFor(document, ['notify'], read.error.issues.flatMap(flatten))
    raw = texts.reduce<Record<string, unknown>>((changed, { path, text }) => withValue(changed, path, text), given)
    read = notifySchema.safeParse(raw)
  }
  const issues = read.success ? notifyIssues(read.data, { authenticated }) : read.error.issues.flatMap(flatten).map((issue) => explained(issue, raw))
  if (!read.success || issues.length > 0) return { issues: issues.map((issue) => ({ ...issue, path: ['notify', ...issue.path] })) }
  return { section: { notify: read.data, raw, secrets: secretPaths(read.data).map((path) => ['notify', ...path]), open: openTexts(read.data) } }
}

/** Names, and where things are. */
function openTexts({ channels, routes, people, teams, templates, external_url, storage, redis, deadman }: NotifyConfig): readonly string[] {
  return [
    ...channels.map(({ name }) => name), ...routes.flatMap(({ name, timezone }) => [name ?? '', timezone]),
    ...Object.keys(people), ...Object.keys(teams), ...Object.keys(templates), external_url ?? '', storage.path ?? '', redis?.prefix ?? '', deadman?.alertname ?? '', deadman?.route ?? '',
  ]
}

/** With the word that was probably meant. */
function explained(issue: EntryIssue, raw: unknown): EntryIssue {
  const [key, parent] = [issue.path.at(-1), issue.path.slice(0, -1)]
  if (issue.message === 'unknown key') return { ...issue, message: `${issue.message}${nearest(String(key), keysAt(parent, raw))}` }
  const value = valueAt(raw, issue.path)
  const types = typesIn(issue.message)
  return key === 'type' && types.length > 0 && typeof value === 'string' ? { ...issue, message: `${issue.message}${nearest(value, types)}` } : issue
}

function typesIn(message: string): readonly string[] {
  return /^expected a type: one of (.*)$/.exec(message)?.[1]?.split(', ') ?? []
}

interface Shape {
  readonly properties?: Readonly<Record<string, Shape>>
  readonly additionalProperties?: Shape | boolean
  readonly items?: Shape
  readonly oneOf?: readonly Shape[]
  readonly const?: unknown
}

/** The keys that a mapping of the section may have, by the schema; of a channel those of its type. */
function keysAt(path: readonly PropertyKey[], raw: unknown): readonly string[] {
  let shape: Shape | undefined = z.toJSONSchema(notifySchema, { io: 'input', unrepresentable: 'any', reused: 'inline' }) as Shape // safe: Shape names what a JSON Schema may hold
  const steps = [...path]
  for (let depth = 0; depth <= steps.length; depth++) {
    const here = valueAt(raw, steps.slice(0, depth))
    shape = shape?.oneOf?.find(({ properties }) => isMapping(here) && properties?.['type']?.const === here['type']) ?? shape
    const step = steps[depth]
    if (step === undefined) break
    const rest: Shape | boolean | undefined = shape?.additionalProperties
    shape = typeof step === 'number' ? shape?.items : shape?.properties?.[String(step)] ?? (typeof rest === 'object' ? rest : undefined)
  }
  return Object.keys(shape?.properties ?? {})
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((node, key) => (Array.isArray(node) ? node[Number(key)] : isMapping(node) ? node[String(key)] : undefined), value)
}
