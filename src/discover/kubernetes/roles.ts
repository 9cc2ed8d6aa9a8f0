import { setImmediate as nextTurn } from 'node:timers/promises'
import { readAnnotations, type AnnotationRules } from './annotations.ts'
import { hostPortText, objectText, probeName } from './names.ts'
import { COLLECTIONS, guardOf, projection, type Seen } from './objects.ts'
import type { DiscoveryRule, KubernetesDiscovery, Role } from './options.ts'
import { isOutside, type Place } from './places.ts'
import { parseSelector, type Selector } from './selector.ts'
import type { Found, Refused, Source, SourceContext, Watched } from './source.ts'
import { parseTemplate, type Template, type TemplateFacts } from './template.ts'

/** A rule of the config, read. */
interface Rule {
  readonly place: string
  readonly selector: Selector | undefined
  readonly options: Readonly<Record<string, unknown>>
  readonly type: string
  readonly name: Template
  readonly target: Template
  readonly labels: readonly (readonly [string, Template])[]
}

interface Made {
  readonly found: Found[]
  readonly refused: Refused[]
}

/** So long objects are read before other work gets its turn. */
const AT_ONCE_MS = 20
/** Characters of annotations that the objects of a namespace may have for each target of its quota: reading them is work, whatever comes of it. */
const CHARACTERS = 10_240

/** The objects that are read: those of a namespace whose annotations are no longer than it may have in all, first those that were read `before`: a list that is had anew is in another order. */
function within(held: ReadonlyMap<string, Seen> | undefined, quota: number, before: ReadonlySet<string>): { readonly read: readonly Seen[], readonly left: readonly Seen[] } {
  const lengths = new Map<string, number>()
  const [read, left]: [Seen[], Seen[]] = [[], []]
  const all = [...held ?? []]
  for (const [, seen] of [...all.filter(([key]) => before.has(key)), ...all.filter(([key]) => !before.has(key))]) {
    const length = (lengths.get(seen.namespace ?? '') ?? 0) + Object.values(seen.annotations).reduce((sum, { length: more }) => sum + more, 0)
    const isRead = seen.namespace === undefined || length <= quota * CHARACTERS
    if (isRead && seen.namespace !== undefined) lengths.set(seen.namespace, length)
    ;(isRead ? read : left).push(seen)
  }
  return { read, left }
}

function leftOut(role: Role, { namespace, name }: Seen, quota: number): Refused {
  return { object: objectText(COLLECTIONS[role].kind, { namespace, name }), namespace, message: `not read: the annotations of the namespace's objects have more than ${quota * CHARACTERS} characters (discovery.kubernetes.quota)` }
}

/** What nobody configured by hand for this very target is read-only, and at 60 s; a rule may say otherwise. */
const usual = (options: object) => ({ mode: 'read-only', ...('cron' in options ? {} : { every: '60s' }) })
/** Of a label's value that an annotation gives. */
const LONGEST_LABEL = 128

function readRule({ selector, probe }: DiscoveryRule, index: number): Rule {
  const { type, name, target, labels, ...options } = probe
  return {
    place: `rule ${index + 1}`, type, options,
    selector: selector === undefined ? undefined : parseSelector(selector),
    name: parseTemplate(name),
    target: parseTemplate(target ?? '{url}'),
    labels: Object.entries(labels).map(([label, text]) => [label, parseTemplate(text)]),
  }
}

/** One source for each of the roles that rules or annotations look at. Pure; what an object has come to is kept as long as the object is the same. */
export function roleSources(config: KubernetesDiscovery, roles: readonly Role[], rules: AnnotationRules, watched: (role: Role, make: () => Watched<Seen>) => Watched<Seen>): Source[] {
  return roles.flatMap((role) => {
    const mine = config.rules.flatMap((rule, index) => (rule.role === role ? [readRule(rule, index)] : []))
    const annotated = config.annotations.includes(role)
    if (mine.length === 0 && !annotated) return []
    const watch = watched(role, () => watchOf(role, config, mine, annotated))
    const known = new WeakMap<Seen, Made>()
    let before: ReadonlySet<string> = new Set()
    const read = (seen: Seen, { cluster }: SourceContext): Made => {
      const cached = known.get(seen)
      if (cached) return cached
      const made = annotated && role !== 'endpointslice' ? readAnnotations(COLLECTIONS[role].kind, seen, rules) : { found: [], refused: [] }
      for (const rule of mine) if (rule.selector?.matches(seen.labels) ?? true) made.found.push(...follow(rule, role, seen, { cluster: cluster.name, domain: config.domain }, made.refused))
      known.set(seen, made)
      return made
    }
    return [{
      name: role,
      watches: [watch],
      async prepare(context) {
        let began = performance.now()
        for (const seen of within(context.held(watch), config.quota, before).read) {
          read(seen, context)
          if (performance.now() - began < AT_ONCE_MS) continue
          await nextTurn()
          began = performance.now()
        }
      },
      find(context) {
        const held = context.held(watch)
        const { read: few, left } = within(held, config.quota, before)
        const unread = new Set(left)
        before = new Set(Array.from(held ?? []).flatMap(([key, seen]) => (unread.has(seen) ? [] : [key])))
        const all = [...few.map((seen) => read(seen, context)), { found: [], refused: left.map((seen) => leftOut(role, seen, config.quota)) }]
        return { found: all.flatMap(({ found }) => found), refused: all.flatMap(({ refused }) => refused) }
      },
    } satisfies Source]
  })
}

function watchOf(role: Role, config: KubernetesDiscovery, rules: readonly Rule[], annotated: boolean): Watched<Seen> {
  const templates = rules.flatMap(({ name, target, labels }) => [name, target, ...labels.map(([, template]) => template)])
  const own = config.rules.filter((rule) => rule.role === role)
  const [only] = own
  return {
    name: role,
    // The API leaves out what nobody wants, where one rule alone says what that is.
    selection: { path: COLLECTIONS[role].path, ...(own.length === 1 && !annotated && only?.selector !== undefined ? { labelSelector: only.selector } : {}) },
    project: projection(role, {
      labels: new Set([...rules.flatMap(({ selector }) => selector?.keys ?? []), ...templates.flatMap(({ labels }) => labels)]),
      annotations: new Set(templates.flatMap(({ annotations }) => annotations)),
      annotated,
      selects: (labels) => rules.some(({ selector }) => selector?.matches(labels) ?? true),
      domain: config.domain,
      address: config.address,
    }),
  }
}

/** What one rule makes of one object: a probe at each of its addresses. */
function follow(rule: Rule, role: Role, seen: Seen, { cluster, domain }: { readonly cluster: string, readonly domain: string }, refused: Refused[]): Found[] {
  const object = objectText(COLLECTIONS[role].kind, seen)
  return seen.places.flatMap((place) => {
    const facts = factsOf(seen, place, cluster)
    const name = rule.name.expand(facts)
    const target = rule.target.expand(facts)
    const missing = 'missing' in name ? `probe.name: ${name.missing}` : 'missing' in target ? `probe.target: ${target.missing}` : undefined
    const probe = 'text' in name ? probeName(name.text) : undefined
    // In a name or a target a hole would make it another one; a label without a value is just not there, as Prometheus has it.
    if (missing !== undefined || probe === undefined || !('text' in target)) {
      refused.push({ object, namespace: seen.namespace, message: `${rule.place} of discovery.kubernetes.rules: ${missing ?? 'probe.name'}: the object has no such thing` })
      return []
    }
    if (place.path !== undefined && !isOutside(place.host, domain)) {
      refused.push({ object, namespace: seen.namespace, message: `${rule.place} of discovery.kubernetes.rules: ${place.host.slice(0, 100)}: expected a host outside the cluster` })
      return []
    }
    const labels = Object.fromEntries(rule.labels.flatMap(([label, template]) => {
      const value = template.expand(facts)
      return 'text' in value && value.text !== '' ? [[label, value.text.slice(0, LONGEST_LABEL)]] : []
    }))
    return [{
      entry: { ...usual(rule.options), ...rule.options, type: rule.type, name: probe, target: target.text, labels },
      node: place.node, zone: place.zone, guard: guardOf(seen, place), object, namespace: seen.namespace,
      why: `${rule.place} of discovery.kubernetes.rules`,
      // What a tenant wrote into a label or an annotation must not lead elsewhere.
      ...(rule.target.labels.length + rule.target.annotations.length > 0 ? { hosts: [place.host] } : {}),
    }]
  })
}

function factsOf(seen: Seen, place: Place, cluster: string): TemplateFacts {
  const address = hostPortText(place.host, undefined)
  return {
    cluster, namespace: seen.namespace, name: seen.name, node: place.node, address, path: place.path,
    url: place.scheme === undefined ? undefined : `${place.scheme}://${address}${place.path ?? ''}`,
    port: (name) => seen.ports.find((port) => port.name === name)?.port,
    label: (key) => (Object.hasOwn(seen.labels, key) ? seen.labels[key] : undefined),
    annotation: (key) => (Object.hasOwn(seen.annotations, key) ? seen.annotations[key] : undefined),
  }
}
