import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { readMatchers, type Matcher } from '../../src/notify/matchers.ts'

/** The shipped configuration of Alertmanager. */
export const EXAMPLE = new URL('../../alerts/alertmanager.example.yml', import.meta.url).pathname

export type Labels = Readonly<Record<string, string>>

interface Route {
  readonly receiver?: string
  readonly matchers?: readonly string[]
  readonly routes?: readonly Route[]
}

interface Raw {
  readonly global: object
  readonly route: Route & Readonly<Record<string, unknown>>
  readonly receivers: readonly { readonly name: string }[]
  readonly inhibit_rules: readonly { readonly source_matchers: readonly string[], readonly target_matchers: readonly string[], readonly equal: readonly string[] }[]
}

export interface Inhibition {
  /** Counts from 1, in the order of the file. */
  readonly name: string
  readonly source: readonly Matcher[]
  readonly target: readonly Matcher[]
  readonly equal: readonly string[]
}

export function exampleConfig(): Raw {
  return parse(readFileSync(EXAMPLE, 'utf8')) as Raw
}

export function inhibitions(): readonly Inhibition[] {
  return exampleConfig().inhibit_rules.map(({ source_matchers: source, target_matchers: target, equal }, index) => ({
    name: `${index + 1}: ${source[0]} over ${target[0]}`, source: source.flatMap(readMatchers), target: target.flatMap(readMatchers), equal,
  }))
}

/** The words of a pattern that lists some: `a|b.+` is `a` and `b.+`. */
export function alternatives({ operator, value }: Matcher): readonly string[] {
  return operator === '=~' ? value.split('|') : [value]
}

/** Label sets that these matchers accept, one for each pair of alternatives; what must only not be empty is `x`. */
export function accepted(matchers: readonly Matcher[]): readonly Labels[] {
  return matchers.reduce<readonly Labels[]>((sets, matcher) => {
    const values = matcher.operator === '!=' ? [matcher.value === '' ? 'x' : `not-${matcher.value}`] : alternatives(matcher).map((value) => value.replace('.+', 'Fast'))
    // `alertname!=""` beside `alertname="A"` asks for nothing more.
    return sets.flatMap((set) => (matcher.name in set && matcher.operator === '!=' ? [set] : values.map((value) => ({ ...set, [matcher.name]: value }))))
  }, [{}])
}
