import { z } from 'zod'
import { CERTIFICATE_OBJECTS } from '../../../kubernetes/collections.ts'
import { hasKubeadmFiles } from '../../local.ts'
import { byText, objectText } from '../names.ts'
import type { Found, Source, SourceContext, Watched } from '../source.ts'
import { accessOptions, healthName, metadata, type ObjectName } from './names.ts'

/** Objects of one cluster that are looked at, each once an hour: the API server is not to feel it. */
export const MOST_OBJECTS = 1_000
const EVERY = '1h'

/** Where the components of a node listen, as kubeadm sets them up: API server, etcd, kubelet, controller manager, scheduler. */
const SERVED = [6443, 2379, 10250, 10257, 10259].map((port) => `127.0.0.1:${port}`)

interface CertObject extends ObjectName {
  readonly revision?: string | undefined
}

interface Kind {
  readonly watched: Watched<CertObject>
  /** The word that a target of the type kube-cert begins with. */
  readonly word: keyof typeof CERTIFICATE_OBJECTS
  readonly why: string
}

const revised = z.object({ metadata: metadata.extend({ generation: z.int().nullish(), resourceVersion: z.string().nullish() }) })

/** Secrets are not counted in generations, and nothing but what they hold changes in them as a rule. */
function nameAndRevision(raw: unknown): CertObject | undefined {
  const { data } = revised.safeParse(raw)
  if (!data) return undefined
  const { name, namespace, generation, resourceVersion } = data.metadata
  return { name, namespace, revision: String(generation ?? resourceVersion ?? '') }
}

const kindOf = (word: Kind['word'], why: string, selection: Partial<Watched['selection']>, project: Watched<CertObject>['project'] = nameAndRevision): Kind =>
  ({ word, why, watched: { name: `certificates-${word}`, selection: { path: CERTIFICATE_OBJECTS[word].path, ...selection }, project, optional: true } })

const apiService = z.object({ metadata, spec: z.object({ service: z.object({}).nullish(), insecureSkipTLSVerify: z.boolean().nullish(), caBundle: z.string().nullish() }) })
const definition = z.object({ metadata, spec: z.object({ conversion: z.object({ strategy: z.string().nullish() }).nullish() }) })

/** What is said first is kept where there are too many. */
const KINDS: readonly Kind[] = [
  kindOf('validatingwebhook', 'a webhook', { metadataOnly: true }),
  kindOf('mutatingwebhook', 'a webhook', { metadataOnly: true }),
  kindOf('apiservice', 'an aggregated API whose certificate is verified', {}, (raw) => {
    const { data } = apiService.safeParse(raw)
    if (!data) return undefined
    const { service, insecureSkipTLSVerify: insecure, caBundle } = data.spec
    // An empty bundle beside a Service that is verified is a finding, too.
    return caBundle || (service && insecure !== true) ? { name: data.metadata.name, namespace: undefined } : undefined
  }),
  // Whole definitions come over the wire, of which one word stays: the API selects by nothing of it.
  kindOf('crd', 'a conversion webhook', {}, (raw) => {
    const { data } = definition.safeParse(raw)
    return data?.spec.conversion?.strategy === 'Webhook' ? nameAndRevision(raw) : undefined
  }),
  // Names alone: what Secrets hold is read by the probe of each, and forgotten.
  kindOf('secret', 'a Secret of type kubernetes.io/tls', { fieldSelector: 'type=kubernetes.io/tls', metadataOnly: true }),
]

/**
 * Certificates that the API keeps, or, in an agent, those that kubeadm and the kubelet keep on the node. What the role of Curlew
 * does not let it list, Secrets say, is left out, and the rest found all the same. `hasFiles`: whether the node has any.
 */
export function certificatesSource({ node, hasFiles = hasKubeadmFiles }: { readonly node: string | undefined, readonly hasFiles?: () => boolean }): Source {
  if (node === undefined) return { name: 'certificates', watches: KINDS.map(({ watched }) => watched), find: findObjects }
  // What was there once and is gone is a fault, which the probe tells.
  let had = false
  return {
    name: 'certificates', watches: [],
    find(context) {
      had ||= hasFiles()
      return had ? { found: [ofNode(context, node)], refused: [] } : { found: [], refused: [{ object: `Node ${node}`, message: NO_FILES }] }
    },
  }
}

const NO_FILES = 'health: certificates: this agent sees no certificate of kubeadm in /etc/kubernetes, nor of the kubelet in /var/lib/kubelet/pki: mount them, or leave certificates out where nodes are set up in another way'

function ofNode(context: SourceContext, node: string): Found {
  return {
    entry: { name: healthName(context, 'node-certificates'), type: 'cert', target: '/etc/kubernetes', preset: 'kubeadm', served: SERVED, every: '10m', mode: 'read-only' },
    node, object: `Node ${node}`, why: 'the files of kubeadm on the node that this Curlew runs on',
  }
}

function findObjects(context: SourceContext): ReturnType<Source['find']> {
  const found = KINDS.flatMap(({ watched, word, why }) => inTurns([...context.held(watched)?.values() ?? []])
    .map((object): Found => ({
      entry: { name: healthName(context, 'certificates'), type: 'kube-cert', target: `${word}/${placeOf(object)}`, ...accessOptions(context.cluster), every: EVERY, mode: 'read-only' },
      object: objectText(CERTIFICATE_OBJECTS[word].kind, object), namespace: object.namespace, revision: object.revision, why,
    })))
  const left = found.length - MOST_OBJECTS
  const refused = left > 0 ? [{ object: 'health: certificates', message: `${found.length} objects hold certificates, of which ${MOST_OBJECTS} are looked at: give discovery.kubernetes.namespaces` }] : []
  return { found: found.slice(0, MOST_OBJECTS), refused }
}

/** The first by name of each namespace, then the second of each: one that has very many hides no other one's. */
function inTurns(objects: readonly CertObject[]): readonly CertObject[] {
  const counts = new Map<string | undefined, number>()
  return objects.toSorted((a, b) => byText(placeOf(a), placeOf(b)))
    .map((object) => {
      const turn = counts.get(object.namespace) ?? 0
      counts.set(object.namespace, turn + 1)
      return { object, turn }
    })
    .toSorted((a, b) => a.turn - b.turn).map(({ object }) => object)
}

function placeOf({ name, namespace }: ObjectName): string {
  return namespace === undefined ? name : `${namespace}/${name}`
}
