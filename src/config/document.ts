import { readFileSync } from 'node:fs'
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node } from 'yaml'

/** A mistake in a config file, for one line of `curlew validate`. */
export interface Diagnostic {
  readonly file: string
  readonly line: number
  readonly column: number
  /** Such as `probes[2].timeout`; empty for the file itself. */
  readonly path: string
  readonly message: string
}

/** A value that came through `${}`. */
export interface Substituted {
  readonly path: readonly PropertyKey[]
  /** The whole scalar as text, with everything put in. */
  readonly text: string
  /** What was put in. */
  readonly parts: readonly string[]
}

export interface ConfigDocument {
  readonly file: string
  /** The content with `${}` put in. */
  readonly value: unknown
  /** The content as it is written. */
  readonly written: unknown
  readonly substituted: readonly Substituted[]
  readonly diagnostics: readonly Diagnostic[]
  /** Where a path stands; the nearest parent when it does not. */
  locate(path: readonly PropertyKey[], atKey?: boolean): { readonly line: number, readonly column: number }
}

const MOST_FILE_BYTES = 1 << 20

/** Reads one YAML document. `${ENV}` and `${file:/path}` are put into parsed scalars, never into the text; `$${` is a plain `${`. */
export function readDocument(file: string, text: string, env: NodeJS.ProcessEnv): ConfigDocument {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, strict: true })
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const locate: ConfigDocument['locate'] = (path, atKey = false) => at(offsetOf(document, path, atKey))
  const diagnostics: Diagnostic[] = document.errors.map((error) => ({
    file, ...at(error.pos[0]), path: '', message: `not valid YAML: ${error.message.split('\n')[0]?.replace(/:$/, '') ?? ''}`,
  }))
  if (diagnostics.length > 0) return { file, value: undefined, written: undefined, substituted: [], diagnostics, locate }

  const substituted: Substituted[] = []
  let written: unknown
  try {
    written = document.toJS()
  } catch (error) {
    // An alias that expands beyond all bounds is only found here.
    const message = error instanceof Error ? error.message : String(error)
    return { file, value: undefined, written: undefined, substituted, locate, diagnostics: [{ file, line: 1, column: 1, path: '', message: `not valid YAML: ${message}` }] }
  }
  const value = substitute(written, [])

  function substitute(node: unknown, path: readonly PropertyKey[]): unknown {
    if (Array.isArray(node)) return node.map((inner: unknown, index) => substitute(inner, [...path, index]))
    if (typeof node === 'object' && node !== null) return Object.fromEntries(Object.entries(node).map(([key, inner]) => [key, substitute(inner, [...path, key])]))
    if (typeof node !== 'string' || !node.includes('${')) return node
    const parts: string[] = []
    const whole = node.replace(/\$\$\{|\$\{([^}]*)\}/g, (match: string, reference: string | undefined) => {
      if (reference === undefined) return '${'
      const found = lookUp(reference, env)
      if ('problem' in found) {
        diagnostics.push({ file, ...locate(path), path: pathText(path), message: found.problem })
        return match
      }
      parts.push(found.text)
      return found.text
    })
    if (parts.length > 0) substituted.push({ path, text: whole, parts })
    return /^\$\{[^}]*\}$/.test(node) && parts.length === 1 ? scalar(whole) : whole
  }

  return { file, value, written, substituted, diagnostics, locate }
}

function lookUp(reference: string, env: NodeJS.ProcessEnv): { text: string } | { problem: string } {
  if (reference.startsWith('file:')) {
    const path = reference.slice('file:'.length)
    try {
      const text = readFileSync(path, 'utf8')
      if (text.length > MOST_FILE_BYTES) return { problem: `expected a file of at most 1 MB: ${path}` }
      return { text: text.replace(/\r?\n$/, '') }
    } catch (error) {
      return { problem: `expected a readable file: ${path} (${error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'})` }
    }
  }
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(reference)) return { problem: 'expected ${NAME} of an environment variable or ${file:/path}; write $${ for a plain ${' }
  const text = env[reference]
  return text === undefined ? { problem: `expected the environment variable ${reference} to be set` } : { text }
}

/** A text as a YAML core scalar: `6379` is a number, `true` is true, everything that is no scalar stays a text. */
function scalar(text: string): unknown {
  const document = parseDocument(text, { schema: 'core' })
  return document.errors.length === 0 && isScalar(document.contents) && text.trim() !== '' && !text.includes('#') && !text.includes('\n') ? document.toJS() : text
}

function offsetOf(document: Document.Parsed | Document, path: readonly PropertyKey[], atKey: boolean): number {
  let node: Node | null = document.contents
  let offset = node?.range?.[0] ?? 0
  for (const [depth, key] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document) ?? null
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key))
      if (!pair) return offset
      const keyOffset = isScalar(pair.key) ? pair.key.range?.[0] : undefined
      node = isMap(pair.value) || isSeq(pair.value) || isScalar(pair.value) || isAlias(pair.value) ? pair.value : null
      const last = depth === path.length - 1
      // A mapping or list is shown where its key is: the eye looks for the name.
      offset = (last && !atKey && isScalar(node) && node.value !== null ? node.range?.[0] : keyOffset) ?? offset
    } else if (isSeq(node)) {
      const item: unknown = node.items[Number(key)]
      if (!isMap(item) && !isSeq(item) && !isScalar(item) && !isAlias(item)) return offset
      node = item
      offset = node.range?.[0] ?? offset
    } else {
      return offset
    }
  }
  return offset
}

/** `['probes', 2, 'timeout']` as `probes[2].timeout`. */
export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => (typeof key === 'number' ? `${text}[${key}]` : text === '' ? String(key) : `${text}.${String(key)}`), '')
}

/** `file:line:column: path: what was expected`. */
export function diagnosticText({ file, line, column, path, message }: Diagnostic): string {
  return `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`
}
