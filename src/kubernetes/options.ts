import { z } from 'zod'
import { duration } from '../core/fields.ts'
import type { ClusterAccess } from './model.ts'

/** RFC 1123, as names of objects in Kubernetes are. */
export const OBJECT_NAME = /^[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?$/

const objectName = () => z.string().regex(OBJECT_NAME, 'expected a name of lower-case letters, digits, - and .')

const cluster = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/, 'expected letters, digits, _, . and -').describe('the label `cluster` of everything found there'),
  kubeconfig: z.string().min(1).describe('file; without one, the ServiceAccount of the pod that Curlew runs in').optional(),
  context: z.string().min(1).describe('of the kubeconfig; its current context unless given').optional(),
  inside: z.boolean().describe('Curlew is on the network of this cluster\'s nodes and pods; true without a kubeconfig, else false unless given').optional(),
  timeout: duration().prefault('10s').describe('longest call of the API'),
}).refine(({ kubeconfig, context }) => context === undefined || kubeconfig !== undefined, { path: ['context'], message: 'expected a kubeconfig beside it' })

/** The section `kubernetes` of the config: which clusters there are, and how Curlew itself runs in one. */
export const kubernetesSchema = z.strictObject({
  clusters: z.array(cluster).min(1)
    .refine((clusters) => new Set(clusters.map(({ name }) => name)).size === clusters.length, 'expected a name of its own for each')
    .prefault([{ name: 'default' }]).describe('clusters that are looked at; the one that Curlew runs in unless given'),
  node: z.string().min(1).describe('the node that this Curlew runs on, from the downward API: what it measures is labelled so').optional(),
  lease: z.strictObject({
    name: objectName().prefault('curlew').describe('of the Lease'),
    namespace: objectName().describe('of the Lease; the pod\'s own unless given').optional(),
    // A takeover and the first runs after it fit into the two minutes that the alert rules bridge.
    duration: duration().refine((ms) => ms >= 3_000 && ms <= 30_000, 'expected 3s to 30s').prefault('15s').describe('how long a holder that is gone is waited for'),
  }).describe('of several replicas one is active, the others stand by: they probe nothing and export no probe_*').optional(),
  shards: z.strictObject({
    total: z.int().min(1).max(256).describe('processes that share the targets'),
    index: z.int().min(0).describe('which of them this one is, from 0; the number at the end of the pod\'s name (a StatefulSet\'s) unless given').optional(),
  }).refine(({ total, index }) => index === undefined || index < total, { path: ['index'], message: 'expected less than total' })
    .describe('each process takes its share of the targets').optional(),
})

export type KubernetesConfig = z.output<typeof kubernetesSchema>

/** How the clusters of a config are reached; without the section it is the one that Curlew runs in. */
export function accessesOf(kubernetes: KubernetesConfig | undefined): readonly ClusterAccess[] {
  return (kubernetes ?? kubernetesSchema.parse({})).clusters.map(({ timeout: timeoutMs, ...access }) => ({ ...access, timeoutMs }))
}
