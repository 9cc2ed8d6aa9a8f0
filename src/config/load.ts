import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { parseDuration } from '../core/fields.ts'
import { nearest } from '../core/nearest.ts'
import type { Job, ProbeType } from '../core/probe.ts'
import { HIDDEN, redact, taint } from '../core/secrets.ts'
import { pathText } from '../core/yaml.ts'
import type { NotifyConfig } from '../notify/options.ts'
import { checkDiscovery } from './discovery.ts'
import { lookUp, readDocument, type ConfigDocument, type Diagnostic } from './document.ts'
import { flatten, type EntryIssue } from './issues.ts'
import { readEntry } from './jobs.ts'
import type { NotifySection, readNotify } from './notify.ts'
import { crossCheck, type Entry } from './rules.ts'
import { topSchema, topShape, type Top } from './schema.ts'
import { isMapping, textsFor, withHidden, withValue } from './values.ts'

export interface Config {
  readonly files: readonly string[]
  readonly top: Top
  readonly jobs: readonly Job[]
  /** The section `notify`, and what it was read from: plain JSON with its secrets, to be read once more by another process and shown to nobody. */
  readonly notify?: NotifyConfig
  readonly notifyRaw?: unknown
  /** The content of the files, YAML, without comments and with every secret hidden. */
  readonly shown: string
}

/** `checksum` covers the files and everything that `${}` put in: equal means that loading again changes nothing. */
export type Loaded = { readonly checksum: string } & (
  | { readonly config: Config, readonly diagnostics: readonly [] }
  | { readonly config?: undefined, readonly diagnostics: readonly Diagnostic[] }
)

export interface LoadOptions {
  readonly types: readonly ProbeType[]
  readonly env?: NodeJS.ProcessEnv
  /** A web-config asks for logins: the webhook needs no token of its own. */
  readonly authenticated?: boolean
}

/** What `loadConfig` loads only where a file has the section: its schema, with every channel's, takes megabytes and a tenth of a second. */
type NotifyReader = typeof readNotify

/** Reads a config file, or every *.yaml and *.yml of a directory as one: a Config, or every mistake in it. */
export async function loadConfig(path: string, options: LoadOptions): Promise<Loaded> {
  const files = readFiles(path)
  if ('diagnostics' in files) return { ...files, checksum: '' }
  const notify = files.texts.some(({ text }) => text.includes('notify')) ? (await import('./notify.ts')).readNotify : undefined
  return readConfig(files.texts, options, notify)
}

/** What `loadConfig` would give as `checksum`, without reading the YAML: cheap enough to be looked at every few seconds. */
export function configChecksum(path: string, env: NodeJS.ProcessEnv = process.env): string {
  const files = readFiles(path)
  return 'diagnostics' in files ? '' : checksumOf(files.texts, env)
}

function checksumOf(texts: readonly FileText[], env: NodeJS.ProcessEnv): string {
  const references = new Set(texts.flatMap(({ text }) => Array.from(text.matchAll(/\$\{([^}]*)\}/g), ([, reference = '']) => reference)))
  return createHash('sha256').update(JSON.stringify([texts, Array.from(references, (reference) => lookUp(reference, env))])).digest('hex')
}

interface FileText {
  readonly file: string
  readonly text: string
}

function readFiles(path: string): { texts: FileText[] } | { diagnostics: Diagnostic[] } {
  let reading = path
  try {
    const names = statSync(path).isDirectory()
      ? readdirSync(path).filter((name) => /^[^.].*\.ya?ml$/.test(name)).toSorted().map((name) => join(path, name))
      : [path]
    if (names.length === 0) return { diagnostics: [{ file: path, line: 1, column: 1, path: '', message: 'expected at least one *.yaml file in the directory' }] }
    return { texts: names.map((file) => ({ file: reading = file, text: readFileSync(file, 'utf8') })) }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    return { diagnostics: [{ file: reading, line: 1, column: 1, path: '', message: `expected a readable config file (${code})` }] }
  }
}

/** Reads a config from texts: what `loadConfig` does once it has the files. `notify` reads that section, where there is one. */
export function readConfig(texts: readonly FileText[], { types, env = process.env, authenticated = false }: LoadOptions, notify?: NotifyReader): Loaded {
  const documents = texts.map(({ file, text }) => readDocument(file, text, env))
  const checksum = checksumOf(texts, env)
  const diagnostics: Diagnostic[] = documents.flatMap((document) => [...document.diagnostics])
  const complain = (document: ConfigDocument, { path, message, atKey }: EntryIssue) =>
    diagnostics.push({ file: document.file, ...document.locate(path, atKey), path: pathText(path), message })

  const hidden = new Map<ConfigDocument, PropertyKey[][]>()
  const hide = (document: ConfigDocument, paths: readonly PropertyKey[][]) => hidden.set(document, [...hidden.get(document) ?? [], ...paths])
  const { top, notifyHome, discoveryHome } = readTop(documents, complain)
  if (discoveryHome) {
    const { issues, secrets } = checkDiscovery(top, types)
    for (const issue of issues) complain(discoveryHome, issue)
    hide(discoveryHome, secrets)
  }
  let section: NotifySection | undefined
  if (notifyHome) {
    if (!notify) throw new Error('the section notify is read by its own reader')
    const read = notify(notifyHome, authenticated)
    section = read.section
    if (read.section) hide(notifyHome, read.section.secrets)
    else for (const issue of read.issues) complain(notifyHome, issue)
  }
  const entries: Entry[] = []
  for (const document of documents) {
    const root = document.value
    if (!isMapping(root)) continue
    const list = root['probes']
    if (list === undefined) continue
    if (!Array.isArray(list)) {
      complain(document, { path: ['probes'], message: 'expected a list of probes' })
      continue
    }
    for (const [index, raw] of list.entries()) {
      const entry = readOne(document, ['probes', index], raw, top, types, complain)
      entries.push(entry)
      hide(document, entry.secrets.map((path) => ['probes', index, ...path]))
    }
  }
  if (diagnostics.length === 0 && entries.length === 0 && !documents.some(({ value }) => isMapping(value) && ['probes', 'notify', 'discovery'].some((key) => key in value))) {
    diagnostics.push({ file: documents[0]?.file ?? '', line: 1, column: 1, path: 'probes', message: 'expected a list of probes, but the key is missing' })
  }
  for (const { entry, issue } of crossCheck(entries)) complain(entry.document, { ...issue, path: [...entry.path, ...issue.path] })

  if (diagnostics.length > 0) {
    const secrets = documents.flatMap(({ substituted }) => substituted.flatMap(({ parts }) => parts)).filter((part) => part.length >= 4)
    const clean = (text: string) => redact(secrets.reduce((rest, secret) => rest.replaceAll(secret, HIDDEN), text))
    const order = new Map(documents.map(({ file }, index) => [file, index]))
    return {
      checksum,
      diagnostics: diagnostics
        .map((diagnostic) => ({ ...diagnostic, message: clean(diagnostic.message) }))
        .toSorted((a, b) => (order.get(a.file) ?? 0) - (order.get(b.file) ?? 0) || a.line - b.line || a.column - b.column),
    }
  }

  const jobs = entries.flatMap((entry) => entry.jobs)
  taintSubstituted(documents, [...jobs.flatMap((job) => [job.name, job.target, ...Object.values(job.labels)]), ...openOf(top), ...section?.open ?? []])
  const shown = documents.map((document) => stringify(withHidden(document.written, hidden.get(document) ?? []))).join('---\n')
  const forwarder = section ? { notify: section.notify, notifyRaw: section.raw } : {}
  return { config: { files: texts.map(({ file }) => file), top, jobs, ...forwarder, shown: redact(shown) }, diagnostics: [], checksum }
}

/** Everything but `probes`: each key may stand in one of the files. `notify` is read by itself: here is where it stands. */
function readTop(documents: readonly ConfigDocument[], complain: (document: ConfigDocument, issue: EntryIssue) => void): { readonly top: Top, readonly notifyHome: ConfigDocument | undefined, readonly discoveryHome?: ConfigDocument | undefined } {
  const merged: Record<string, unknown> = {}
  const home = new Map<string, ConfigDocument>()
  for (const document of documents) {
    if (document.value === undefined && document.diagnostics.length > 0) continue
    if (!isMapping(document.value)) {
      complain(document, { path: [], message: 'expected a mapping with the key probes' })
      continue
    }
    for (const [key, value] of Object.entries(document.value)) {
      if (key === 'probes') continue
      const other = home.get(key)
      if (other) complain(document, { path: [key], atKey: true, message: `already set in ${other.file}` })
      else if (key === 'notify') home.set(key, document)
      else if (key !== '$schema' && !Object.hasOwn(topShape, key)) complain(document, { path: [key], atKey: true, message: `unknown key${nearest(key, [...Object.keys(topShape), 'probes', 'notify'])}` })
      else {
        home.set(key, document)
        merged[key] = value
      }
    }
  }
  let read = topSchema.safeParse(merged)
  if (!read.success) {
    const issues = read.error.issues.flatMap(flatten)
    const texts = documents.flatMap((document) => textsFor(document, [], issues))
    if (texts.length > 0) read = topSchema.safeParse(texts.reduce<Record<string, unknown>>((changed, { path, text }) => withValue(changed, path, text), merged))
  }
  if (read.success) {
    const { every, timeout } = read.data.defaults
    const document = home.get('defaults')
    if (document && every !== undefined && timeout !== undefined && timeout > every) complain(document, { path: ['defaults', 'timeout'], message: 'expected at most every' })
    return { top: read.data, notifyHome: home.get('notify'), discoveryHome: home.get('discovery') }
  }
  for (const issue of read.error.issues.flatMap(flatten)) {
    const document = home.get(String(issue.path[0]))
    if (document) complain(document, issue)
  }
  // The entries are still read, so that their mistakes are told too.
  return { top: topSchema.parse({}), notifyHome: home.get('notify') }
}

function readOne(
  document: ConfigDocument, path: readonly PropertyKey[], raw: unknown, top: Top, types: readonly ProbeType[],
  complain: (document: ConfigDocument, issue: EntryIssue) => void,
): Entry {
  const nothing = { document, path, name: undefined, type: undefined, keys: new Set<string>(), dependsOn: [], jobs: [], secrets: [] }
  if (!isMapping(raw)) {
    complain(document, { path, message: 'expected a mapping with name, type and target' })
    return nothing
  }
  const name = typeof raw['name'] === 'string' ? raw['name'] : undefined
  const dependsOn = Array.isArray(raw['depends_on']) ? raw['depends_on'].map(localDependency) : []
  const type = types.find((known) => known.type === raw['type'])
  if (!type) {
    const known = types.map((one) => one.type)
    const given = raw['type']
    complain(document, 'type' in raw
      ? { path: [...path, 'type'], message: `expected one of ${known.join(', ')}${typeof given === 'string' ? nearest(given, known) : ''}` }
      : { path, message: `type: expected one of ${known.join(', ')}, but the key is missing` })
    return { ...nothing, name, dependsOn }
  }

  const own = raw['labels'] ?? {}
  const entry = { ...defaultsFor(raw, top), ...raw, labels: isMapping(own) ? { ...top.labels, ...own } : own }
  let read = readEntry(type, entry)
  const texts = textsFor(document, path, read.issues)
  if (texts.length > 0) read = readEntry(type, texts.reduce<Record<string, unknown>>((changed, { path: at, text }) => withValue(changed, at, text), entry))
  for (const issue of read.issues) {
    const inherited = issue.path.length > 0 && !(String(issue.path[0]) in raw) && String(issue.path[0]) in top.defaults
    complain(document, { ...issue, path: inherited ? path : [...path, ...issue.path], message: inherited ? `${String(issue.path[0])} (from defaults): ${issue.message}` : issue.message })
  }
  return { document, path, name, type, keys: new Set(Object.keys(raw)), dependsOn, jobs: read.jobs, secrets: read.secrets }
}

function localDependency(item: unknown): string | undefined {
  if (typeof item === 'string') return item
  return isMapping(item) && item['remote'] !== true && typeof item['probe'] === 'string' ? item['probe'] : undefined
}

/** The defaults in the text form that entries have; `every` gives way to an entry's `cron`. */
function defaultsFor(raw: Readonly<Record<string, unknown>>, top: Top): Record<string, unknown> {
  const { every, timeout, ...rest } = top.defaults
  const plain = (ms: number) => `${ms}ms`
  return {
    ...rest,
    ...(every === undefined || 'cron' in raw ? {} : { every: plain(every) }),
    ...(timeout === undefined ? {} : { timeout: plain(timeout) }),
  }
}

/** What everybody sees of the top: where an agent stands is in each of its targets and messages, and is no secret for having come by the environment. */
function openOf({ instance_id: instance, labels, kubernetes, discovery, mesh }: Top): readonly string[] {
  const { node, clusters = [], lease } = kubernetes ?? {}
  return [
    instance, node, lease?.name, lease?.namespace, mesh?.listen.host, ...Object.values(labels), ...discovery?.kubernetes?.namespaces ?? [],
    ...clusters.flatMap(({ name, kubeconfig, context }) => [name, kubeconfig, context]),
  ].filter((text) => text !== undefined)
}

/** Taints what came through `${}`, but for what its author put where everybody sees it (`open`: a label, a target, a name), or that is no text. */
function taintSubstituted(documents: readonly ConfigDocument[], open: readonly string[]): void {
  for (const { substituted } of documents) {
    for (const part of substituted.flatMap(({ parts }) => parts)) {
      const harmless = part === 'true' || part === 'false' || /^\d{1,5}$/.test(part) || parseDuration(part) !== undefined
      if (!harmless && !open.some((text) => text.includes(part))) taint(part)
    }
  }
}
