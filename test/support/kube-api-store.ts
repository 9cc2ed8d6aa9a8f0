import { isDeepStrictEqual } from 'node:util'

/** An object of the API, as its JSON has it. */
export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
    readonly resourceVersion?: string
    readonly [more: string]: unknown
  }
  readonly [more: string]: unknown
}

/** A collection's kind: `/api/v1` + `services`. */
export interface Resource {
  /** `/api/v1`, `/apis/apps/v1`. */
  readonly root: string
  readonly plural: string
  readonly kind: string
  readonly namespaced: boolean
}

export interface Change {
  readonly version: number
  readonly resource: Resource
  readonly before: KubeObject | undefined
  readonly after: KubeObject | undefined
}

const KINDS: readonly (readonly [root: string, namespaced: boolean, kinds: string])[] = [
  ['/api/v1', true, 'ConfigMap:configmaps Endpoints:endpoints Event:events Pod:pods Secret:secrets Service:services ServiceAccount:serviceaccounts'],
  ['/api/v1', false, 'Namespace:namespaces Node:nodes'],
  ['/apis/admissionregistration.k8s.io/v1', false, 'MutatingWebhookConfiguration:mutatingwebhookconfigurations ValidatingWebhookConfiguration:validatingwebhookconfigurations'],
  ['/apis/apiextensions.k8s.io/v1', false, 'CustomResourceDefinition:customresourcedefinitions'],
  ['/apis/apiregistration.k8s.io/v1', false, 'APIService:apiservices'],
  ['/apis/apps/v1', true, 'DaemonSet:daemonsets Deployment:deployments StatefulSet:statefulsets'],
  ['/apis/certificates.k8s.io/v1', false, 'CertificateSigningRequest:certificatesigningrequests'],
  ['/apis/coordination.k8s.io/v1', true, 'Lease:leases'],
  ['/apis/discovery.k8s.io/v1', true, 'EndpointSlice:endpointslices'],
  ['/apis/gateway.networking.k8s.io/v1', true, 'BackendTLSPolicy:backendtlspolicies Gateway:gateways HTTPRoute:httproutes'],
  ['/apis/gateway.networking.k8s.io/v1beta1', true, 'ReferenceGrant:referencegrants'],
  ['/apis/networking.k8s.io/v1', true, 'Ingress:ingresses NetworkPolicy:networkpolicies'],
]

export const RESOURCES: readonly Resource[] = KINDS.flatMap(([root, namespaced, kinds]) => kinds.split(' ').map((pair) => {
  const [kind = '', plural = ''] = pair.split(':')
  return { root, namespaced, kind, plural }
}))

/** `shop/redis`, or `node-1` of what has no namespace. */
export const keyOf = ({ metadata: { namespace, name } }: KubeObject) => (namespace === undefined ? name : `${namespace}/${name}`)

/** What etcd and the watch cache hold: objects, their versions, and what has changed. */
export function createStore() {
  const objects = new Map<Resource, Map<string, KubeObject>>(RESOURCES.map((resource) => [resource, new Map()]))
  const changes: Change[] = []
  const listeners = new Set<(change: Change) => void>()
  let version = 1_000
  /** Changes up to this one are forgotten. */
  let oldest = version
  let uid = 0

  const of = (resource: Resource) => objects.get(resource)!
  const note = (resource: Resource, before: KubeObject | undefined, after: KubeObject | undefined) => {
    const change = { version, resource, before, after }
    changes.push(change)
    for (const listener of listeners) listener(change)
  }

  return {
    version: () => version,
    oldest: () => oldest,
    changes: () => changes as readonly Change[],
    get: (resource: Resource, key: string) => of(resource).get(key),
    /** In the order of etcd's keys. */
    all: (resource: Resource) => [...of(resource).entries()].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object),
    /** Writes an object with a new version; one that says what is there already changes nothing. */
    set(resource: Resource, object: KubeObject): KubeObject {
      const key = keyOf(object)
      const before = of(resource).get(key)
      const kept = before?.metadata ?? { uid: `00000000-0000-4000-8000-${String(++uid).padStart(12, '0')}`, creationTimestamp: new Date().toISOString().replace(/\.\d+/, '') }
      const { labels, annotations, ...metadata } = object.metadata
      const made = (at: string): KubeObject => ({
        ...object,
        metadata: { ...metadata, ...filled({ labels }), ...filled({ annotations }), uid: kept['uid'], creationTimestamp: kept['creationTimestamp'], resourceVersion: at },
      })
      if (before && isDeepStrictEqual(before, made(String(before.metadata.resourceVersion)))) return before
      version++
      const after = made(String(version))
      of(resource).set(key, after)
      note(resource, before, after)
      return after
    },
    remove(resource: Resource, key: string): KubeObject | undefined {
      const before = of(resource).get(key)
      if (!before) return undefined
      version++
      of(resource).delete(key)
      note(resource, before, undefined)
      return before
    },
    /** Forgets what has changed, as etcd's compaction does. */
    compact() {
      changes.length = 0
      oldest = version
    },
    listen(listener: (change: Change) => void) {
      listeners.add(listener)
      return () => { listeners.delete(listener) }
    },
  }
}

/** The API keeps no empty map. */
function filled(named: Readonly<Record<string, object | undefined>>): object {
  return Object.values(named).some((value) => value !== undefined && Object.keys(value).length > 0) ? named : {}
}

export type Store = ReturnType<typeof createStore>

/** Label selectors (`a=b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`) and field selectors of equality. */
export function selects(labelSelector: string, fieldSelector: string): (object: KubeObject) => boolean {
  const labels = labelSelector === '' ? [] : labelSelector.split(/,(?![^(]*\))/).map((term) => labelTerm(term.trim()))
  const fields = fieldSelector === '' ? [] : fieldSelector.split(',').map((term) => {
    const [, path = '', not = '', value = ''] = /^([\w.]+)(!?)==?(.*)$/.exec(term) ?? []
    return (object: KubeObject) => {
      const found = at(object, path.split('.'))
      return ((typeof found === 'string' ? found : found === undefined ? '' : JSON.stringify(found)) === value) === (not === '')
    }
  })
  return (object) => labels.every((term) => term(object.metadata.labels ?? {})) && fields.every((term) => term(object))
}

function labelTerm(term: string): (labels: Readonly<Record<string, string>>) => boolean {
  const set = /^(\S+) (in|notin) \((.*)\)$/.exec(term)
  if (set) {
    const [, name = '', how, values = ''] = set
    const list = values.split(',').map((value) => value.trim())
    return how === 'in' ? (labels) => name in labels && list.includes(labels[name]!) : (labels) => !(name in labels && list.includes(labels[name]!))
  }
  const equal = /^([^!=]+)(!?)==?(.*)$/.exec(term)
  if (equal) {
    const [, name = '', not = '', value = ''] = equal
    return (labels) => (labels[name] === value) === (not === '')
  }
  return term.startsWith('!') ? (labels) => !(term.slice(1) in labels) : (labels) => term in labels
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, name) => (typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>)[name] : undefined), value)
}

/** A merge patch (RFC 7396). */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
  const merged: Record<string, unknown> = typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {}
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name]
    else merged[name] = mergePatch(merged[name], value)
  }
  return merged
}
