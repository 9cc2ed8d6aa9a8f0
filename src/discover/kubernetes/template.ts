/** What a template may name of an object. */
export interface TemplateFacts {
  readonly cluster: string
  readonly namespace?: string | undefined
  readonly name: string
  readonly address: string
  /** Of an Ingress or HTTPRoute. */
  readonly url?: string | undefined
  readonly path?: string | undefined
  readonly node?: string | undefined
  port(name: string): number | undefined
  label(key: string): string | undefined
  annotation(key: string): string | undefined
}

/** Of objects that have one: without an argument. */
const PLAIN = ['cluster', 'namespace', 'name', 'address', 'url', 'path', 'node'] as const
const WITH_ARGUMENT = ['port', 'label', 'annotation'] as const

type Placeholder = { readonly key: (typeof PLAIN)[number] } | { readonly key: (typeof WITH_ARGUMENT)[number], readonly argument: string }

/** A text with placeholders, read. */
export interface Template {
  /** Keys of the labels and annotations that it names. */
  readonly labels: readonly string[]
  readonly annotations: readonly string[]
  /** The text, or the first placeholder that the object has nothing for. */
  expand(facts: TemplateFacts): { readonly text: string } | { readonly missing: string }
}

/** Reads `{namespace}-{name}`, `{address}:{port:redis}`, `{label:team}`. Throws an Error with a sentence for a placeholder that there is not. */
export function parseTemplate(text: string): Template {
  const pieces = text.split(/(\{[^{}]*\})/).map((piece) => (/^\{.*\}$/s.test(piece) ? placeholder(piece) : piece))
  const named = (wanted: 'label' | 'annotation') => pieces.flatMap((piece) => (typeof piece !== 'string' && 'argument' in piece && piece.key === wanted ? [piece.argument] : []))
  return {
    labels: named('label'),
    annotations: named('annotation'),
    expand(facts) {
      let whole = ''
      for (const piece of pieces) {
        const value = typeof piece === 'string' ? piece : 'argument' in piece ? facts[piece.key](piece.argument) : facts[piece.key]
        if (value === undefined) return { missing: typeof piece === 'string' ? piece : `{${piece.key}${'argument' in piece ? `:${piece.argument}` : ''}}` }
        whole += String(value)
      }
      return { text: whole }
    },
  }
}

function placeholder(text: string): Placeholder {
  const [, name, argument] = /^\{([a-z]+)(?::(.+))?\}$/s.exec(text) ?? []
  const plain = PLAIN.find((known) => known === name)
  if (plain !== undefined && argument === undefined) return { key: plain }
  const long = WITH_ARGUMENT.find((known) => known === name)
  if (long !== undefined && argument !== undefined) return { key: long, argument }
  throw new Error(`unknown placeholder ${text}: expected one of ${PLAIN.map((key) => `{${key}}`).join(', ')}, {port:NAME}, {label:KEY}, {annotation:KEY}`)
}
