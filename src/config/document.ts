import { readFileSync, statSync } from 'node:fs'
import { isScalar, parseDocument } from 'yaml'
import { pathText, readYaml, type YamlText } from '../core/yaml.ts'

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
  readonly locate: YamlText['locate']
}

const MOST_FILE_BYTES = 1 << 20
const DEEPEST = 100

/** Reads one YAML document. `${ENV}` and `${file:/path}` are put into parsed scalars, never into the text; `$${` is a plain `${`. */
export function readDocument(file: string, text: string, env: NodeJS.ProcessEnv): ConfigDocument {
  const { value: written, errors, locate } = readYaml(text)
  const diagnostics: Diagnostic[] = errors.map((error) => ({ file, path: '', ...error }))
  const substituted: Substituted[] = []
  let endless = false
  const value = substitute(written, [])

  function substitute(node: unknown, path: readonly PropertyKey[]): unknown {
    // An alias inside its own anchor has no end, and two of them double at every turn: the first way down is the last.
    if (endless || path.length > DEEPEST) {
      if (!endless) diagnostics.push({ file, ...locate(path), path: pathText(path.slice(0, 3)), message: `expected at most ${DEEPEST} levels, and no alias inside its own anchor` })
      endless = true
      return undefined
    }
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

/** What stands for `${reference}`, or a sentence that says why nothing does. */
export function lookUp(reference: string, env: NodeJS.ProcessEnv): { text: string } | { problem: string } {
  if (reference.startsWith('file:')) {
    const path = reference.slice('file:'.length)
    try {
      // A pipe would hold the event loop until somebody writes, and a device never ends.
      const about = statSync(path)
      if (!about.isFile()) return { problem: `expected a regular file: ${path}` }
      if (about.size > MOST_FILE_BYTES) return { problem: `expected a file of at most 1 MB: ${path}` }
      return { text: readFileSync(path, 'utf8').replace(/\r?\n$/, '') }
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
  const { contents, errors } = parseDocument(text, { schema: 'core', logLevel: 'silent' })
  // Quotes, spaces and what would be an anchor or a tag are characters of a password like any other.
  return errors.length === 0 && isScalar(contents) && contents.type === 'PLAIN' && contents.source === text && text !== '' ? contents.value : text
}

/** `file:line:column: path: what was expected`. */
export function diagnosticText({ file, line, column, path, message }: Diagnostic): string {
  return `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`
}
