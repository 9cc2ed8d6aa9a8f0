import type { ProbeType } from '../core/probe.ts'
import { nearest } from '../core/nearest.ts'
import { parseTemplate } from '../discover/kubernetes/template.ts'
import { rolesSeen } from '../discover/kubernetes/options.ts'
import { accessesOf } from '../kubernetes/options.ts'
import type { EntryIssue } from './issues.ts'
import { readEntry, readTarget } from './jobs.ts'
import { commonShape, type Top } from './schema.ts'

/** Keys that are Curlew's to set on what is found. */
const OWN_KEYS: ReadonlySet<string> = new Set(['name', 'labels', 'depends_on'])
const OWN_LABELS = ['cluster', 'namespace'] as const

/** A discovered entry read as those of the config are, with the options that its target sets by itself. */
export function readFound(type: ProbeType, entry: Readonly<Record<string, unknown>>) {
  const read = readEntry(type, entry, true)
  // With a login of its own a refusal is the target's or the login's fault again, not a matter of what Curlew lacks.
  const { jobs, issues } = read.secrets.length > 0 ? readEntry(type, entry) : read
  return { jobs, issues, fromTarget: typeof entry['target'] === 'string' ? fromTarget(type, entry['target']) : [] }
}

function fromTarget(type: ProbeType, target: string): string[] {
  try {
    return Object.keys(readTarget(type, target))
  } catch {
    // readEntry tells of it.
    return []
  }
}

/** What is wrong with the section `discovery` that its schema alone cannot see, and where secrets stand in it; paths begin with `discovery`. */
export function checkDiscovery({ discovery, kubernetes, labels }: Top, types: readonly ProbeType[]): { issues: EntryIssue[], secrets: PropertyKey[][] } {
  const issues: EntryIssue[] = []
  const secrets: PropertyKey[][] = []
  if (!discovery) return { issues, secrets }
  const known = types.map(({ type }) => type)
  for (const [name, options] of Object.entries(discovery.allow)) {
    const type = types.find((one) => one.type === name)
    if (!type) issues.push({ path: ['discovery', 'allow', name], atKey: true, message: `expected one of ${known.join(', ')}${nearest(name, known)}` })
    const may = type ? [...Object.keys(type.options.shape), ...Object.keys(commonShape)].filter((key) => key !== 'target' && !OWN_KEYS.has(key)) : []
    for (const [index, option] of options.entries()) {
      if (type && !may.includes(option)) issues.push({ path: ['discovery', 'allow', name, index], message: `expected an option of the type ${name}${nearest(option, may)}` })
    }
  }
  const clusters = accessesOf(kubernetes)
  const names = clusters.map(({ name }) => name)
  for (const [index, name] of discovery.kubernetes?.clusters?.entries() ?? []) {
    if (!names.includes(name)) issues.push({ path: ['discovery', 'kubernetes', 'clusters', index], message: `expected one of kubernetes.clusters: ${names.join(', ')}` })
  }
  const wanted = clusters.filter(({ name }) => discovery.kubernetes?.clusters?.includes(name) ?? true)
  for (const [index, { role, probe }] of discovery.kubernetes?.rules.entries() ?? []) {
    const path = ['discovery', 'kubernetes', 'rules', index, 'probe']
    const at = (issue: EntryIssue) => issues.push({ ...issue, path: [...path, ...issue.path] })
    if (wanted.length > 0 && !wanted.some((cluster) => rolesSeen(cluster).includes(role))) {
      issues.push({ path: ['discovery', 'kubernetes', 'rules', index, 'role'], message: `expected ingress or httproute: a ${role} is reached from inside its cluster only, and Curlew is not inside ${wanted.map(({ name }) => name).join(', ')}: kubernetes.clusters[].inside` })
    }
    const type = types.find((one) => one.type === probe.type)
    if (!type) {
      at({ path: ['type'], message: `expected one of ${known.join(', ')}${nearest(probe.type, known)}` })
      continue
    }
    const hasUrl = role === 'ingress' || role === 'httproute'
    if (probe.target === undefined && !hasUrl) {
      at({ path: [], message: 'target: expected a template such as {address}:6379, but the key is missing' })
      continue
    }
    for (const label of OWN_LABELS) if (label in probe.labels) at({ path: ['labels', label], atKey: true, message: 'expected another label: Curlew sets this one' })
    for (const key of ['targets', 'depends_on']) if (key in probe) at({ path: [key], atKey: true, message: 'expected no such key in a rule' })
    const facts = example(role)
    const expanded = (text: string, key: string) => {
      const made = parseTemplate(text).expand(facts)
      if ('text' in made) return made.text
      at({ path: [key], message: `${made.missing}: a ${role} has no such thing` })
      return undefined
    }
    const name = expanded(probe.name, 'name')
    const target = expanded(probe.target ?? '{url}', 'target')
    if (name === undefined || target === undefined) continue
    const read = readEntry(type, { ...('cron' in probe ? {} : { every: '60s' }), ...probe, name: 'x', target, labels: { ...labels, ...Object.fromEntries(Object.keys(probe.labels).map((label) => [label, 'x'])) } })
    for (const issue of read.issues) if (!(issue.path[0] === 'targets' || issue.path[0] === 'depends_on')) at(issue)
    secrets.push(...read.secrets.map((secret) => [...path, ...secret]))
  }
  return { issues, secrets }
}

/** An object that a rule's templates are tried on: whatever a label says is a digit, which may stand in a name and in a port. */
function example(role: string) {
  const hasUrl = role === 'ingress' || role === 'httproute'
  return {
    cluster: 'x', name: 'x', address: '192.0.2.1', node: role === 'service' || hasUrl ? undefined : 'x',
    namespace: role === 'node' ? undefined : 'x', url: hasUrl ? 'http://192.0.2.1/' : undefined, path: hasUrl ? '/' : undefined,
    port: () => (hasUrl || role === 'node' ? undefined : 1), label: () => '1', annotation: () => '1',
  }
}
