import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit, type Document, type ErrorCode, type Pair, type YAMLMap } from 'yaml'

/** A YAML file as plain values, or every syntax error; `locate` says where a path stands. */
export interface YamlText {
  readonly value: unknown
  readonly errors: readonly { readonly line: number, readonly column: number, readonly message: string }[]
  /** 1-based; the nearest parent when the path does not exist. */
  locate(path: readonly PropertyKey[], atKey?: boolean): { readonly line: number, readonly column: number }
}

/** The parser's own sentences quote the text, which may be a password that nobody put in quotes: these do not. */
const SENTENCES: Partial<Record<ErrorCode, string>> = {
  DUPLICATE_KEY: 'this key stands here twice',
  TAB_AS_INDENT: 'expected spaces, found a tab',
  BAD_INDENT: 'the indentation is wrong',
  MISSING_CHAR: 'a character is missing: look for an unclosed quote or bracket, or a colon without a space after it',
  MULTILINE_IMPLICIT_KEY: 'a key must stand on one line',
  MULTIPLE_DOCS: 'expected one document, found ---',
  TAG_RESOLVE_FAILED: 'unknown tag; a text that begins with ! stands in quotes',
  BAD_DQ_ESCAPE: 'an escape sequence that YAML does not know',
}

/** Nodes that the aliases of one anchor may stand for: every probe may use it, and nested ones cannot fill the memory. */
const MOST_ALIASED = 20_000

/** `['probes', 2, 'timeout']` as `probes[2].timeout`. */
export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => (typeof key === 'number' ? `${text}[${key}]` : text === '' ? String(key) : `${text}.${String(key)}`), '')
}

/** Reads one YAML document strictly (no key twice, no unknown tag, core schema and `<<`). Never throws. */
export function readYaml(text: string): YamlText {
  const lines = new LineCounter()
  const document = parseDocument(text.replace(/^\uFEFF/, ''), { lineCounter: lines, prettyErrors: false, strict: true, uniqueKeys: true, merge: true, logLevel: 'error' })
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  // An unknown tag is but a warning to the parser, and leaves nothing of `password: !pass`.
  const errors = [...document.errors, ...document.warnings].map((error) => ({
    ...at(error.pos[0]), message: `not valid YAML: ${SENTENCES[error.code] ?? error.code.toLowerCase().replaceAll('_', ' ')}`,
  }))
  visit(document, {
    Alias(_key, alias) {
      if (!alias.resolve(document)) errors.push({ ...at(alias.range?.[0] ?? 0), message: 'not valid YAML: an alias without an anchor before it; a text that begins with * stands in quotes' })
    },
  })
  const locate: YamlText['locate'] = (path, atKey = false) => at(offsetOf(document, path, atKey))
  if (errors.length > 0) return { value: undefined, errors, locate }
  try {
    return { value: document.toJS({ maxAliasCount: MOST_ALIASED }), errors, locate }
  } catch {
    return { value: undefined, errors: [{ line: 1, column: 1, message: 'not valid YAML: the aliases stand for too much' }], locate }
  }
}

/** The pair of a key in a mapping or, through `<<`, in one that it merges. */
function pairOf(document: Document, map: YAMLMap, key: PropertyKey): Pair | undefined {
  const own = map.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key))
  if (own) return own
  for (const { key: merge, value } of map.items) {
    if (!isScalar(merge) || typeof merge.value !== 'symbol') continue
    for (const source of isSeq(value) ? value.items : [value]) {
      const merged = isAlias(source) ? source.resolve(document) : source
      const found = isMap(merged) ? pairOf(document, merged, key) : undefined
      if (found) return found
    }
  }
  return undefined
}

function offsetOf(document: Document.Parsed, path: readonly PropertyKey[], atKey: boolean): number {
  let node: unknown = document.contents
  let offset = document.contents?.range?.[0] ?? 0
  for (const [depth, key] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document)
    if (isMap(node)) {
      const pair = pairOf(document, node, key)
      if (!pair) return offset
      const keyOffset = isScalar(pair.key) ? pair.key.range?.[0] : undefined
      const scalar = isScalar(pair.value) && pair.value.value !== null ? pair.value.range?.[0] : undefined
      offset = (depth === path.length - 1 && !atKey ? scalar : undefined) ?? keyOffset ?? offset
      node = pair.value
    } else if (isSeq(node)) {
      const item = node.items[Number(key)]
      if (isScalar(item) || isMap(item) || isSeq(item) || isAlias(item)) offset = item.range?.[0] ?? offset
      node = item
    } else {
      return offset
    }
  }
  return offset
}
