import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type ErrorCode } from 'yaml'

/** A YAML file as plain values, or every syntax error; `locate` says where a path stands. */
export interface YamlText {
  readonly value: unknown
  readonly errors: readonly { readonly line: number, readonly column: number, readonly message: string }[]
  /** 1-based; the nearest parent when the path does not exist. */
  locate(path: readonly PropertyKey[], atKey?: boolean): { readonly line: number, readonly column: number }
}

/** The parser's own sentences quote the text, which may be a password: these do not. */
const SENTENCES: Partial<Record<ErrorCode, string>> = {
  DUPLICATE_KEY: 'this key stands here twice',
  TAB_AS_INDENT: 'expected spaces, found a tab',
  BAD_INDENT: 'the indentation is wrong',
  MISSING_CHAR: 'a character is missing: look for an unclosed quote or bracket, or a colon without a space after it',
  MULTILINE_IMPLICIT_KEY: 'a key must stand on one line',
  MULTIPLE_DOCS: 'expected one document, found ---',
}

/** `['probes', 2, 'timeout']` as `probes[2].timeout`. */
export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => (typeof key === 'number' ? `${text}[${key}]` : text === '' ? String(key) : `${text}.${String(key)}`), '')
}

/** Reads one YAML document strictly (no key twice, core schema and `<<`). Never throws. */
export function readYaml(text: string): YamlText {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, strict: true, uniqueKeys: true, merge: true })
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const errors = document.errors.map((error) => ({
    ...at(error.pos[0]), message: `not valid YAML: ${SENTENCES[error.code] ?? error.code.toLowerCase().replaceAll('_', ' ')}`,
  }))
  const locate: YamlText['locate'] = (path, atKey = false) => at(offsetOf(document, path, atKey))
  if (errors.length > 0) return { value: undefined, errors, locate }
  try {
    // Enough for an anchor that every one of thousands of probes uses, too few for a bomb.
    return { value: document.toJS({ maxAliasCount: 10_000 }), errors, locate }
  } catch {
    // Only an alias without an anchor, or too many of them, gets here.
    return { value: undefined, errors: [{ line: 1, column: 1, message: 'not valid YAML: an alias has no anchor, or there are too many aliases' }], locate }
  }
}

function offsetOf(document: Document.Parsed, path: readonly PropertyKey[], atKey: boolean): number {
  let node: unknown = document.contents
  let offset = document.contents?.range?.[0] ?? 0
  for (const [depth, key] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document)
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key))
      if (!pair) return offset
      const keyOffset = isScalar(pair.key) ? pair.key.range?.[0] : undefined
      const scalar = isScalar(pair.value) && pair.value.value !== null ? pair.value.range?.[0] : undefined
      offset = (depth === path.length - 1 && !atKey ? scalar : undefined) ?? keyOffset ?? offset
      node = pair.value
    } else if (isSeq(node)) {
      const item = node.items[Number(key)]
      if (isScalar(item) || isMap(item) || isSeq(item)) offset = item.range?.[0] ?? offset
      node = item
    } else {
      return offset
    }
  }
  return offset
}
