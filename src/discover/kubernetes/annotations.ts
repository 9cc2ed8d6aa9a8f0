import { parseDuration } from '../../core/fields.ts'
import { nearest } from '../../core/nearest.ts'
import type { ProbeType } from '../../core/probe.ts'
import { readYaml } from '../../core/yaml.ts'
import { OBJECT_NAME } from '../../kubernetes/options.ts'
import { hostPortText, namePrefix, objectText, probeName } from './names.ts'
import { ANNOTATION, guardOf, LONGEST_ALL, LONGEST_ANNOTATION, type Seen } from './objects.ts'
import { isOutside, PATH, type Place } from './places.ts'
import type { Found, Refused } from './source.ts'

/** The names after `curlew.dev/`; each may carry a suffix, as in `curlew.dev/port.metrics`, for several probes of one object. */
export const FIELDS = ['probe', 'port', 'scheme', 'path', 'every', 'timeout', 'options', 'depends-on', 'name', 'secret'] as const
type Field = (typeof FIELDS)[number]
type Fields = Readonly<Partial<Record<Field, string>>>

export interface AnnotationRules {
  readonly types: ReadonlyMap<string, ProbeType>
  readonly allow: Readonly<Record<string, readonly string[]>>
  readonly leastEveryMs: number
  /** Whether an annotation may name a Secret. */
  readonly secrets: boolean
  readonly domain: string
  /** Stands in the names of probes where there are several clusters. */
  readonly cluster: string | undefined
}

const MOST_PROBES = 10
const MOST_DEPENDENCIES = 10
/** Of the values but `options`. */
const LONGEST_VALUE = 512
/** Of `options` once its aliases are resolved. */
const LONGEST_OPTIONS = 16_384
const LONGEST_TIMEOUT_MS = 30_000
const USUAL_EVERY_MS = 60_000
const SUFFIX = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/
const DEPENDENCY = /^[a-z0-9][a-z0-9_-]{0,62}$/

/** For the source `paths` of a cluster's health: there a `path` stands without a probe too. */
const OF_PATHS: { readonly kinds: readonly string[], readonly names: readonly string[] } = { kinds: ['Ingress', 'HTTPRoute'], names: ['backend-path'] }

/**
 * What a probe that nobody configured by hand is told beside its target, unless an option of these is given: what answers at
 * all is taken for well, and nothing leads to another host.
 */
const USUAL: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  dns: { query: 'localhost.', record: 'A', rcode: 'any', min_answers: 0 },
  http: { follow_redirects: false },
}
/** Without a login even a connection does harm there. */
const WITHOUT_SECRET: Readonly<Record<string, Readonly<Record<string, unknown>>>> = { mysql: { login: false } }

class Mistake extends Error {}

/** The probes that an object's annotations ask for. A mistake costs the probe that it stands in, and no other one. */
export function readAnnotations(kind: string, seen: Seen, rules: AnnotationRules): { found: Found[], refused: Refused[] } {
  const object = objectText(kind, seen)
  const found: Found[] = []
  const refused: Refused[] = []
  const refuse = (message: string) => refused.push({ object, namespace: seen.namespace, message })

  if (seen.tooLong) refuse(`${ANNOTATION}: expected at most ${LONGEST_ALL} characters in all annotations of the object`)

  const probes = new Map<string, Partial<Record<Field, string>>>()
  const spoiled = new Set<string>()
  for (const [key, value] of Object.entries(seen.annotations)) {
    if (!key.startsWith(ANNOTATION)) continue
    const [, name = '', suffix = ''] = /^([^.]*)(?:\.(.*))?$/s.exec(key.slice(ANNOTATION.length)) ?? []
    if (OF_PATHS.kinds.includes(kind) && OF_PATHS.names.includes(name)) continue
    const field = FIELDS.find((known) => known === name)
    const most = field === 'options' ? LONGEST_ANNOTATION : LONGEST_VALUE
    if (!field) refuse(`${shown(key)}: unknown annotation${nearest(name, FIELDS)}; expected one of ${FIELDS.join(', ')}`)
    else if (suffix !== '' && !SUFFIX.test(suffix)) refuse(`${shown(key)}: expected lower-case letters, digits and - after the point, at most 32`)
    else if (value.length > most) refuse(`${key}: expected at most ${most} characters`)
    else {
      probes.set(suffix, { ...probes.get(suffix), [field]: value })
      continue
    }
    spoiled.add(suffix)
  }
  if (probes.size > MOST_PROBES) refuse(`expected at most ${MOST_PROBES} probes of one object, there are ${probes.size}`)
  for (const [suffix, fields] of [...probes].toSorted(([a], [b]) => (a < b ? -1 : 1)).slice(0, MOST_PROBES)) {
    // What was meant is not known: half of it would be another probe.
    if (spoiled.has(suffix) || (OF_PATHS.kinds.includes(kind) && Object.keys(fields).every((field) => field === 'path'))) continue
    try {
      found.push(...readOne(object, seen, suffix, fields, rules))
    } catch (error) {
      if (!(error instanceof Mistake)) throw error
      refuse(error.message)
    }
  }
  return { found, refused }
}

function shown(key: string): string {
  return key.length > 80 ? `${key.slice(0, 80)}…` : key
}

function readOne(object: string, seen: Seen, suffix: string, fields: Fields, rules: AnnotationRules): Found[] {
  const key = (field: Field) => `${ANNOTATION}${field}${suffix === '' ? '' : `.${suffix}`}`
  const wrong = (field: Field, message: string) => new Mistake(`${key(field)}: ${message}`)
  const name = fields.probe?.trim() ?? ''
  const allowed = Object.hasOwn(rules.allow, name) ? rules.allow[name] : undefined
  const type = rules.types.get(name)
  if (fields.probe === undefined) throw wrong('probe', 'expected a probe type beside the other annotations, but the key is missing')
  if (!allowed || !type) throw wrong('probe', `expected one of ${Object.keys(rules.allow).join(', ')}: what discovery.allow names${nearest(name, Object.keys(rules.allow))}`)

  const options = optionsOf(fields.options, allowed, name, (message) => wrong('options', message))
  const base = fields.name?.trim() ?? seen.name
  if (fields.name !== undefined && !NAME.test(base)) throw wrong('name', 'expected lower-case letters, digits and -, at most 40')
  const prefix = namePrefix(rules.cluster, seen.namespace)
  const probe = probeName(`${prefix}${base}${suffix === '' ? '' : `-${suffix}`}`)
  if (probe === undefined) throw wrong('name', 'expected a name')
  const usual = USUAL[name] ?? {}
  const own = Object.keys(usual).some((one) => Object.hasOwn(options, one)) ? {} : usual
  const entry = {
    name: probe, type: name, mode: 'read-only', ...own, ...(fields.secret === undefined ? WITHOUT_SECRET[name] : {}), ...options,
    ...timing(fields, rules.leastEveryMs, wrong),
  }
  const about = {
    object, namespace: seen.namespace, why: `annotation ${key('probe')}`, allowed,
    secret: secretOf(fields.secret, seen, rules.secrets, (message) => wrong('secret', message)),
    dependsOn: dependencies(fields['depends-on'], prefix, (message) => wrong('depends-on', message)),
  }
  return targets(type, seen, fields, rules.domain, wrong).map(({ target, place }) => ({ ...about, entry: { ...entry, target }, hosts: [place.host], guard: guardOf(seen, place), node: place.node, zone: place.zone }))
}

type Wrong = (field: Field, message: string) => Mistake

/** Plain JSON or YAML, of at most a few kilobytes; `${}` is a text like any other. */
function optionsOf(text: string | undefined, allowed: readonly string[], type: string, wrong: (message: string) => Mistake): Record<string, unknown> {
  if (text === undefined) return {}
  const value = jsonOrYaml(text, wrong)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong('expected a mapping, as JSON or YAML')
  const options: Record<string, unknown> = { ...value }
  for (const option of Object.keys(options)) {
    if (!allowed.includes(option)) throw wrong(`${shown(option)}: expected one of ${allowed.join(', ')}: what discovery.allow names for ${type}`)
  }
  let size = Infinity
  try {
    size = JSON.stringify(options).length
  } catch {
    // An alias inside its own anchor.
  }
  if (size > LONGEST_OPTIONS) throw wrong('expected less')
  return options
}

/** JSON first: it is read a hundred times as fast, and thousands of objects may be new at once. */
function jsonOrYaml(text: string, wrong: (message: string) => Mistake): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return value
  } catch {
    const { value, errors: [error] } = readYaml(text)
    if (error) throw wrong(`${error.message} (line ${error.line}, column ${error.column})`)
    return value
  }
}

function timing(fields: Fields, leastEveryMs: number, wrong: Wrong): Record<string, string> {
  const every = fields.every === undefined ? Math.max(USUAL_EVERY_MS, leastEveryMs) : parseDuration(fields.every.trim())
  if (every === undefined) throw wrong('every', 'expected a duration such as 60s or 5m')
  if (every < leastEveryMs) throw wrong('every', `expected at least ${leastEveryMs / 1000} s: discovery.every of Curlew's config`)
  const timeout = fields.timeout === undefined ? undefined : parseDuration(fields.timeout.trim())
  if (fields.timeout !== undefined && timeout === undefined) throw wrong('timeout', 'expected a duration such as 5s')
  if (timeout !== undefined && timeout > Math.min(every, LONGEST_TIMEOUT_MS)) throw wrong('timeout', `expected at most ${Math.min(every, LONGEST_TIMEOUT_MS) / 1000} s`)
  return { every: `${every}ms`, ...(timeout === undefined ? {} : { timeout: `${timeout}ms` }) }
}

function secretOf(text: string | undefined, { namespace }: Seen, may: boolean, wrong: (message: string) => Mistake): string | undefined {
  if (text === undefined) return undefined
  if (!may) throw wrong('Curlew reads no Secrets: discovery.kubernetes.secrets is off')
  if (namespace === undefined) throw wrong('the object is in no namespace')
  // A name alone: with a slash it would be another namespace's.
  if (!OBJECT_NAME.test(text.trim())) throw wrong('expected the name of a Secret of the same namespace')
  return text.trim()
}

function dependencies(text: string | undefined, prefix: string, wrong: (message: string) => Mistake): Found['dependsOn'] {
  const names = (text ?? '').split(',').map((one) => one.trim()).filter((one) => one !== '')
  if (names.length > MOST_DEPENDENCIES) throw wrong(`expected at most ${MOST_DEPENDENCIES} probes`)
  if (!names.every((one) => DEPENDENCY.test(one))) throw wrong('expected names of probes with commas between them')
  return names.map((config) => ({ own: probeName(`${prefix}${config}`) ?? config, config }))
}

const PORT = /^\d{1,5}$/

/** The target at each address of the object: the annotations add a port, a scheme of the type and a path, never a host. */
function targets(type: ProbeType, seen: Seen, fields: Fields, domain: string, wrong: Wrong): { target: string, place: Place }[] {
  const path = fields.path?.trim()
  if (path !== undefined && !PATH.test(path)) throw wrong('path', 'expected a path that begins with / and has no query')
  const scheme = fields.scheme?.trim()
  if (scheme !== undefined && !type.schemes.includes(scheme)) throw wrong('scheme', `expected one of ${type.schemes.join(', ')}`)
  if (seen.places.length === 0) throw wrong('probe', 'the object names no host that could be asked')
  const made = new Map<string, Place>()
  for (const place of seen.places) {
    if (place.foreign && !mayName(place, seen, domain)) throw wrong('probe', 'what the object names may be anywhere: only a rule of Curlew\'s config can have it probed')
    const spoken = scheme ?? (place.path === undefined ? undefined : type.schemes.find((one) => one === place.scheme))
    if (place.path !== undefined && place.scheme === undefined && scheme === undefined) throw wrong('scheme', 'expected http or https: the route does not say which')
    const usual = place.scheme === undefined ? undefined : place.scheme === 'https' ? 443 : 80
    const port = fields.port === undefined ? onlyPort(type, seen, spoken === undefined ? usual : undefined, wrong) : portOf(fields.port.trim(), seen, wrong)
    const withPath = path ?? (spoken !== undefined && place.path !== undefined && spoken === place.scheme ? place.path : '')
    made.set(`${spoken === undefined ? '' : `${spoken}://`}${hostPortText(place.host, port)}${withPath}`, place)
  }
  return Array.from(made, ([target, place]) => ({ target, place }))
}

function mayName({ host, path }: Place, { namespace }: Seen, domain: string): boolean {
  return path !== undefined && namespace !== undefined && isOutside(host, domain)
}

function portOf(text: string, { ports }: Seen, wrong: Wrong): number {
  const number = PORT.test(text) ? Number(text) : ports.find(({ name }) => name === text)?.port
  const names = ports.flatMap(({ name }) => (name === undefined ? [] : [name])).slice(0, 10)
  if (number === undefined || number < 1 || number > 65_535) throw wrong('port', `expected a number from 1 to 65535${names.length === 0 ? '' : ` or one of ${names.join(', ')}`}`)
  return number
}

/** The object's port where it has one, and none where the type takes none or has a usual one of its own. */
function onlyPort(type: ProbeType, { ports }: Seen, usual: number | undefined, wrong: Wrong): number | undefined {
  const takes = (text: string) => type.options.shape.target.safeParse(text).success
  if (!takes('192.0.2.1:1') && takes('192.0.2.1')) return undefined
  const [first, ...others] = new Set(ports.map(({ port }) => port))
  if (others.length > 0) throw wrong('port', `the object has several: expected one of ${ports.slice(0, 10).map(({ name, port }) => name ?? String(port)).join(', ')}`)
  return first ?? usual
}
