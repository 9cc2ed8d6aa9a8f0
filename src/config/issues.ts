import type { z } from 'zod'

/** Where in an entry something is wrong; an empty path is the entry itself. */
export interface EntryIssue {
  readonly path: readonly PropertyKey[]
  readonly message: string
  /** The mistake is the key at the end of the path, not its value. */
  readonly atKey?: boolean
  /** The schema wanted a text here: a number that came from `${}` may be given as one. */
  readonly wantsText?: boolean
}

/** One issue per mistake, with zod's wording replaced where ours is clearer. */
export function flatten(issue: z.core.$ZodIssue): EntryIssue[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => ({ path: [...issue.path, key], message: 'unknown key', atKey: true }))
  if (issue.code === 'invalid_key') return issue.issues.map((inner) => ({ path: issue.path, message: inner.message, atKey: true }))
  if (issue.code === 'invalid_element') return issue.issues.map((inner) => ({ path: issue.path, message: inner.message }))
  if (issue.code === 'invalid_union' && issue.errors.length > 0) return [{ path: issue.path, message: issue.errors.map((alternatives) => wording(alternatives[0]?.message ?? '')).join(', or ') }]
  return [{ path: issue.path, message: wording(issue.message), wantsText: issue.code === 'invalid_type' && issue.expected === 'string' }]
}

const BOUNDS: Readonly<Record<string, string>> = { '>=': 'at least', '<=': 'at most', '>': 'more than', '<': 'less than' }
const KINDS: Readonly<Record<string, string>> = {
  string: 'a text', number: 'a number', int: 'a whole number', boolean: 'true or false', array: 'a list', object: 'a mapping', record: 'a mapping', null: 'nothing',
}

/** zod's `Invalid input: expected string, received number` as `expected a text, got a number`, and `Too small: expected array to have >=1 items` as `expected at least 1 item`. */
function wording(message: string): string {
  const bound = /^Too (?:small|big): expected \w+ to (?:be|have) (>=|<=|>|<)(\S+)(?: (\w+?)s?)?$/.exec(message)
  if (bound) {
    const [, sign = '', limit = '', unit] = bound
    return `expected ${BOUNDS[sign] ?? sign} ${limit}${unit === undefined ? '' : ` ${unit}${limit === '1' ? '' : 's'}`}`
  }
  const match = /^Invalid input: expected (\w+), received (\w+)$/.exec(message)
  if (!match) return message.replace(/^Invalid (?:input|option): /, '')
  const [, wanted = '', got = ''] = match
  return `expected ${KINDS[wanted] ?? wanted}, ${got === 'undefined' ? 'but the key is missing' : `got ${KINDS[got] ?? got}`}`
}
