import { z } from 'zod'
import type { Found, Refused, Source, SourceContext, Watched } from '../source.ts'
import { readUpstreams, type Upstream, type Upstreams } from './corefile.ts'
import { hostPortText } from '../names.ts'
import { healthName } from './names.ts'

const NAMESPACE = 'kube-system'
/** Every distribution's CoreDNS carries it, for the sake of kube-dns before it. */
const SELECTOR = 'k8s-app=kube-dns'
const CONFIG_MAP = 'coredns'
/** Characters of a Corefile that are held; a long one has 5,000. */
const LONGEST_COREFILE = 100_000
const MOST_UPSTREAMS = 50

const slice = z.object({
  ports: z.array(z.object({ name: z.string().nullish(), port: z.number().nullish(), protocol: z.string().nullish() })).nullish(),
  endpoints: z.array(z.object({
    addresses: z.array(z.string()), nodeName: z.string().nullish(), zone: z.string().nullish(),
    conditions: z.object({ terminating: z.boolean().nullish() }).nullish(), targetRef: z.object({ kind: z.string().nullish(), name: z.string().nullish() }).nullish(),
  })).nullish(),
})
const configMap = z.object({ data: z.object({ Corefile: z.string().optional() }).nullish() })

interface Pod {
  readonly target: string
  readonly name: string | undefined
  readonly node: string | undefined
  readonly zone: string | undefined
}

/** The DNS of a cluster: every pod of it, and every upstream of its Corefile. */
export function dnsSource({ domain, external }: { readonly domain: string, readonly external?: string | undefined }): Source {
  const slices: Watched<readonly Pod[]> = {
    name: 'dns-endpoints',
    selection: { path: `/apis/discovery.k8s.io/v1/namespaces/${NAMESPACE}/endpointslices`, labelSelector: SELECTOR },
    project(raw) {
      const { data } = slice.safeParse(raw)
      const port = (data?.ports?.find(({ name, protocol }) => name === 'dns' && protocol === 'UDP') ?? data?.ports?.find(({ protocol }) => protocol === 'UDP'))?.port
      if (!data || typeof port !== 'number') return undefined
      // One that is not ready is asked all the same: left out, a DNS of which no pod is ready would be nothing to alert on.
      return (data.endpoints ?? []).filter(({ conditions }) => conditions?.terminating !== true).flatMap(({ addresses: [host], nodeName, zone, targetRef }) =>
        (host === undefined ? [] : [{ target: hostPortText(host, port), name: targetRef?.kind === 'Pod' ? targetRef.name ?? undefined : undefined, node: nodeName ?? undefined, zone: zone ?? undefined }]))
    },
  }
  const corefiles: Watched<string> = {
    name: 'dns-corefile',
    selection: { path: `/api/v1/namespaces/${NAMESPACE}/configmaps`, fieldSelector: `metadata.name=${CONFIG_MAP}` },
    project: (raw) => configMap.safeParse(raw).data?.data?.Corefile?.slice(0, LONGEST_COREFILE + 1),
  }
  const object = `ConfigMap ${NAMESPACE}/${CONFIG_MAP}`

  return {
    name: 'dns',
    watches: [slices, corefiles],
    find(context) {
      const refused: Refused[] = []
      const { upstreams, files, problems } = upstreamsOf([...context.held(corefiles)?.values() ?? []], (message) => refused.push({ object, namespace: NAMESPACE, message }))
      for (const message of problems) refused.push({ object, namespace: NAMESPACE, message })
      // No mistake of anybody: it is how kubeadm sets a cluster up.
      const unseen = files.length === 0 ? '' : `; its Corefile forwards to the servers of ${files.join(', ')} on its node, which are not probed`
      const pods = [...context.held(slices)?.values() ?? []].flat().map(({ target, name, node, zone }): Found => ({
        entry: { name: healthName(context, 'kube-dns'), type: 'kube-dns', target, mode: 'read-only', domain, ...(external === undefined ? {} : { external }) },
        node, zone, object: name === undefined ? `Service ${NAMESPACE}/kube-dns` : `Pod ${NAMESPACE}/${name}`, namespace: NAMESPACE, why: `a DNS server of the cluster${unseen}`,
      }))
      if (upstreams.length > MOST_UPSTREAMS) refused.push({ object, namespace: NAMESPACE, message: `more than ${MOST_UPSTREAMS} upstreams in the Corefile: the rest is left out` })
      return { found: [...pods, ...upstreams.slice(0, MOST_UPSTREAMS).map((upstream) => foundOf(context, upstream, external, object))], refused }
    },
  }
}

function upstreamsOf(corefiles: readonly string[], refuse: (message: string) => void): Upstreams {
  const none: Upstreams = { upstreams: [], files: [], problems: [] }
  const [corefile] = corefiles
  if (corefile === undefined) return none
  if (corefile.length > LONGEST_COREFILE) {
    refuse(`expected a Corefile of at most ${LONGEST_COREFILE} characters: its upstreams are not probed`)
    return none
  }
  try {
    return readUpstreams(corefile)
  } catch (error) {
    refuse(`${error instanceof Error ? error.message : String(error)}: its upstreams are not probed`)
    return none
  }
}

/** One `dns` probe for all upstreams of a zone, so that they can be compared. */
function foundOf(context: SourceContext, { target, transport, zone, serverName, ownAuthority }: Upstream, external: string | undefined, object: string): Found {
  const all = zone === '.'
  return {
    entry: {
      name: healthName(context, all ? 'kube-dns-upstream' : `kube-dns-upstream-${zone.replaceAll(/[^a-z0-9]/g, '-').slice(0, 40)}`), type: 'dns', target, mode: 'read-only', transport, ...questionOf(zone, external),
      ...(serverName === undefined ? {} : { server_name: serverName }),
      // CoreDNS has the file of its authority, Curlew has not.
      ...(ownAuthority && transport === 'dot' ? { insecure_skip_verify: true } : {}),
    },
    object, namespace: NAMESPACE,
    why: `an upstream of the Corefile ${all ? 'for all names outside the cluster' : `for the names of ${zone}`}`,
  }
}

function questionOf(zone: string, external: string | undefined): Readonly<Record<string, unknown>> {
  if (zone !== '.') return { query: zone, record: 'SOA' }
  if (external !== undefined) return { query: external }
  // A server that knows the names of one company only owes no answer for the root: that it answers at all is enough.
  return { query: '.', record: 'NS', rcode: 'any' }
}
