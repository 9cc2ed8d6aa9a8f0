import { z } from 'zod'
import { duration } from '../../core/fields.ts'
import { isInside, type ClusterAccess } from '../../kubernetes/model.ts'
import { parseSelector } from './selector.ts'
import { parseTemplate } from './template.ts'

/** Kinds of objects that targets are made of. */
export const ROLES = ['service', 'endpointslice', 'pod', 'ingress', 'httproute', 'node'] as const
export type Role = (typeof ROLES)[number]

/** Their hosts are names for everybody; all others are addresses on the network of the cluster. */
const OUTSIDE_ROLES: readonly Role[] = ['ingress', 'httproute']

/** Roles whose objects are looked at in a cluster. */
export function rolesSeen(cluster: ClusterAccess): readonly Role[] {
  return isInside(cluster) ? ROLES : OUTSIDE_ROLES
}

/** Roles whose objects may carry annotations: slices are the control plane's own. */
export const ANNOTATED_ROLES = ['service', 'pod', 'ingress', 'httproute', 'node'] as const

/** Sources of a cluster's own health. */
export const HEALTH_NAMES = ['api', 'dns', 'nodes', 'certificates', 'paths', 'mesh', 'host'] as const
export type HealthName = (typeof HEALTH_NAMES)[number]

/** The shortest `every` that an operator can let annotations ask for. */
const LEAST_EVERY_MS = 5_000

/**
 * What annotations may ask for unless the config says: nothing that reads a file, holds a secret, leads to another host,
 * writes, or sends what the tenant wrote.
 */
const TLS = ['server_name', 'insecure_skip_verify', 'min_version', 'ip_protocol'] as const
export const DEFAULT_ALLOW: Readonly<Record<string, readonly string[]>> = {
  dns: ['query', 'record', 'rcode', 'min_answers', 'transport', 'recursion_desired', ...TLS],
  tcp: ['tls', ...TLS],
  http: ['status', 'marker', 'body_matches', 'body_not_matches', 'fail_if_ssl', 'fail_if_not_ssl', ...TLS],
  cert: ['starttls', ...TLS],
  redis: ['db', 'tls', ...TLS],
  memcached: ['ip_protocol'],
  mysql: ['database', 'tls', ...TLS],
  ping: ['ip_protocol'],
}

/** A text that `read` takes: its sentence where it does not. */
const checked = (read: (text: string) => unknown) => z.string().min(1).superRefine((text, context) => {
  try {
    read(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
  }
})

const template = () => checked(parseTemplate)

const rule = z.strictObject({
  role: z.enum(ROLES).describe('kind of the objects'),
  selector: checked(parseSelector).describe('label selector; every object of the role unless given').optional(),
  probe: z.looseObject({
    type: z.string().describe('probe type'),
    name: template().prefault('{namespace}_{name}').describe('template of the probe\'s name'),
    target: template().describe('template; of an ingress or httproute `{url}` unless given').optional(),
    labels: z.record(z.string(), template()).describe('templates').default({}),
  }).describe('as under `probes:`; `name`, `target` and `labels` are templates'),
})

/** The section `discovery` of the config. */
export const discoverySchema = z.strictObject({
  allow: z.record(z.string(), z.array(z.string())).prefault(Object.fromEntries(Object.entries(DEFAULT_ALLOW).map(([type, options]) => [type, [...options]])))
    .describe('probe types, and of each the options, that an annotation may ask for; in place of the usual list'),
  every: duration().refine((ms) => ms >= LEAST_EVERY_MS, 'expected at least 5s').prefault('60s').describe('the shortest `every` that an annotation may ask for'),
  kubernetes: z.strictObject({
    clusters: z.array(z.string()).min(1).describe('names of `kubernetes.clusters`; all unless given').optional(),
    namespaces: z.array(z.string().regex(/^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/, 'expected the name of a namespace')).min(1)
      .refine((names) => new Set(names).size === names.length, 'expected each namespace once')
      .describe('looked at; all unless given. A Role in each of them is enough then').optional(),
    annotations: z.union([z.boolean(), z.array(z.enum(ANNOTATED_ROLES)).min(1)]).default(false)
      .transform((given): readonly Role[] => (given === true ? ['service'] : given === false ? [] : [...new Set(given)]))
      .describe('objects that carry `curlew.dev/probe` are probed: of these roles; `true` is services'),
    secrets: z.boolean().default(false).describe('an annotation may name a Secret of its own namespace to log in with'),
    quota: z.int().min(1).max(100_000).default(100).describe('targets that the objects of one namespace may make, by annotations and rules alike'),
    targets: z.int().min(1).max(1_000_000).default(20_000).describe('targets of one cluster'),
    domain: z.string().regex(/^[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?$/, 'expected a domain such as cluster.local').default('cluster.local').describe('the clusters\' domain'),
    external: z.string().regex(/^[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?$/, 'expected a name such as example.org')
      .describe('a name outside, which the clusters\' DNS servers and their upstreams are asked for (`health: [dns]`); none unless given').optional(),
    address: z.enum(['name', 'ip']).default('name').describe('how a Service is reached: by its name, or by its ClusterIP where it has one'),
    health: z.array(z.enum(HEALTH_NAMES)).default([]).transform((names) => [...new Set(names)]).describe('what of the cluster itself is probed'),
    mesh: z.strictObject({
      neighbours: z.int().min(1).max(20).default(3).describe('nodes that each agent looks at, beside one in another zone'),
    }).prefault({}).describe('of the health source mesh'),
    rules: z.array(rule).default([]).describe('targets by label selector'),
  }).describe('finds targets in the clusters of `kubernetes.clusters`').optional(),
})

export type DiscoveryConfig = z.output<typeof discoverySchema>
export type KubernetesDiscovery = NonNullable<DiscoveryConfig['kubernetes']>
export type DiscoveryRule = KubernetesDiscovery['rules'][number]
