import type { Guard } from '../../core/probe.ts'
import type { ClusterAccess, Project, Selection } from '../../kubernetes/model.ts'
import type { FoundEntry } from '../local.ts'

/** One collection of the API that a source looks at. Two sources that name the same selection and projection share an informer. */
export interface Watched<T = unknown> {
  /** Unique among the watched of a cluster, such as `services`. */
  readonly name: string
  readonly selection: Selection
  readonly project: Project<T>
  /** The role may not allow it, or the API may not have it: then the source does without, and that is no trouble. `kind`: of an API that does not have it nothing is said. */
  readonly optional?: true | 'kind'
}

/** Something that is to be probed, and why. */
export interface Found {
  /** As it would stand under `probes:`; labels `cluster` and `namespace` are Curlew's, whatever the object says. */
  readonly entry: FoundEntry
  /** `probe_info`'s join keys, where the object says them. */
  readonly node?: string | undefined
  readonly zone?: string | undefined
  /** The object it comes from: `Service shop/redis`. */
  readonly object: string
  /** Of the object; undefined for what has none. */
  readonly namespace?: string | undefined
  /** Another one when the object has changed: then its probe, which stays the same, runs at once and not only when its time comes. */
  readonly revision?: string | undefined
  /** One sentence for `curlew check --plan`: `annotation curlew.dev/probe`. */
  readonly why: string
  /** Hosts that the probe may reach: what a tenant's words have made of the target is held against them. Undefined: whatever the entry says. */
  readonly hosts?: readonly string[] | undefined
  /** Name of a Secret of the object's namespace to log in with. */
  readonly secret?: string | undefined
  /** Probes that it depends on: `own` if one of that name was found, else `config` if the config has it. */
  readonly dependsOn?: readonly { readonly own: string, readonly config: string }[] | undefined
  /** A tenant's object made it: it counts towards the quota of its namespace, and does not lead everywhere. */
  readonly guard?: Guard | undefined
  /** A tenant asked for it: it sets no option that `allowed` does not name. */
  readonly allowed?: readonly string[] | undefined
}

/** A wrong annotation: of one object, never of its neighbours. */
export interface Refused {
  readonly object: string
  readonly namespace?: string | undefined
  /** What is wrong and what was expected, with the annotation's name; never its value where that may be a secret. */
  readonly message: string
}

export interface SourceContext {
  readonly cluster: ClusterAccess
  /** More than this cluster is looked at: probes have its name before theirs. */
  readonly several: boolean
  /** The node that this Curlew runs on, where it is told. */
  readonly node: string | undefined
  /** `https://10.0.0.1:6443`: where Curlew itself reaches the API; undefined where that is not known. */
  readonly server?: string | undefined
  /** What a watched of this source holds, as it was projected; undefined until its first list. */
  held<T>(watched: Watched<T>): ReadonlyMap<string, T> | undefined
}

/** One way of finding targets in a cluster. Pure: it is asked again whenever what it watches has changed. */
export interface Source {
  readonly name: string
  readonly watches: readonly Watched[]
  /** Does the work of `find` that takes long beforehand, with turns for others in between. */
  prepare?(context: SourceContext): Promise<void>
  find(context: SourceContext): { readonly found: readonly Found[], readonly refused: readonly Refused[] }
}
