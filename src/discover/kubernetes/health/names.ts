import { z } from 'zod'
import type { ClusterAccess } from '../../../kubernetes/model.ts'
import { namePrefix } from '../names.ts'
import type { SourceContext } from '../source.ts'

/** How a probe that asks the API reaches the cluster that it was found in. */
export function accessOptions({ kubeconfig, context }: ClusterAccess): Readonly<Record<string, string>> {
  return { ...kubeconfig === undefined ? {} : { kubeconfig }, ...context === undefined ? {} : { context } }
}

/** A probe's name, apart from that of the other clusters: a probe and a target are one job, whatever the cluster. */
export function healthName({ cluster, several }: Pick<SourceContext, 'cluster' | 'several'>, name: string): string {
  return `${namePrefix(several ? cluster.name : undefined, undefined)}${name}`
}

export const metadata = z.object({ name: z.string(), namespace: z.string().optional() })

/** What of an object is needed to point at it. */
export interface ObjectName {
  readonly name: string
  readonly namespace: string | undefined
}
