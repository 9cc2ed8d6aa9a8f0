import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { z } from 'zod'

export const root = join(import.meta.dirname, '../..')
export const deploy = join(root, 'deploy')

const manifest = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional(), labels: z.record(z.string(), z.string()).optional() }),
})
export type Manifest = z.output<typeof manifest>

/** The objects of a text of several documents; throws where one of them is no object of the API. */
export function objectsOf(text: string): Manifest[] {
  return parseAllDocuments(text).map((document) => {
    if (document.errors[0]) throw document.errors[0]
    const content: unknown = document.toJS()
    return content
  }).filter((content) => content !== null).map((content) => manifest.parse(content))
}

/** `Deployment curlew/curlew`. */
export const nameOf = ({ kind, metadata }: Manifest) => `${kind} ${metadata.namespace === undefined ? '' : `${metadata.namespace}/`}${metadata.name}`

/** Every folder of deploy/kustomize that can be applied by itself. */
export const KUSTOMIZATIONS = ['access', 'base', 'agents', 'forwarder', ...readdirSync(join(deploy, 'kustomize/overlays')).toSorted().map((name) => `overlays/${name}`)]

const container = z.looseObject({
  name: z.string(),
  image: z.string(),
  resources: z.object({ requests: z.record(z.string(), z.string()), limits: z.record(z.string(), z.string()) }).optional(),
  securityContext: z.looseObject({
    privileged: z.boolean().optional(),
    runAsUser: z.number().optional(),
    runAsNonRoot: z.boolean().optional(),
    allowPrivilegeEscalation: z.boolean().optional(),
    readOnlyRootFilesystem: z.boolean().optional(),
    capabilities: z.object({ add: z.array(z.string()).optional(), drop: z.array(z.string()).optional() }).optional(),
  }).optional(),
})

const podSpec = z.looseObject({
  hostNetwork: z.boolean().optional(),
  hostPID: z.boolean().optional(),
  hostIPC: z.boolean().optional(),
  shareProcessNamespace: z.boolean().nullish(),
  automountServiceAccountToken: z.boolean().optional(),
  serviceAccountName: z.string().optional(),
  terminationGracePeriodSeconds: z.number().optional(),
  securityContext: z.looseObject({
    runAsNonRoot: z.boolean().optional(),
    runAsUser: z.number().optional(),
    seccompProfile: z.object({ type: z.string() }).optional(),
    sysctls: z.array(z.object({ name: z.string(), value: z.string() })).optional(),
  }).optional(),
  initContainers: z.array(container).optional(),
  containers: z.array(container),
  volumes: z.array(z.looseObject({ name: z.string() })).optional(),
})
export type PodSpec = z.output<typeof podSpec>

/** What an object starts pods by; undefined where it starts none. */
export function podOf({ spec }: Manifest): { readonly labels: Readonly<Record<string, string>>, readonly annotations: Readonly<Record<string, string>>, readonly spec: PodSpec } | undefined {
  const read = z.object({ template: z.object({
    metadata: z.looseObject({ labels: z.record(z.string(), z.string()).optional(), annotations: z.record(z.string(), z.string()).optional() }).optional(), spec: podSpec,
  }) }).safeParse(spec)
  const template = read.data?.template
  return template && { labels: template.metadata?.labels ?? {}, annotations: template.metadata?.annotations ?? {}, spec: template.spec }
}

const SAFE_SYSCTLS = [
  'kernel.shm_rmid_forced', 'net.ipv4.ip_local_port_range', 'net.ipv4.ip_unprivileged_port_start', 'net.ipv4.tcp_syncookies', 'net.ipv4.ping_group_range',
  'net.ipv4.ip_local_reserved_ports', 'net.ipv4.tcp_keepalive_time', 'net.ipv4.tcp_fin_timeout', 'net.ipv4.tcp_keepalive_intvl', 'net.ipv4.tcp_keepalive_probes',
]
const VOLUME_KINDS = ['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'persistentVolumeClaim', 'projected', 'secret']

/** What of Pod Security's level `restricted` (https://kubernetes.io/docs/concepts/security/pod-security-standards/) a pod breaks. */
export function beyondRestricted(spec: PodSpec): string[] {
  const pod = spec.securityContext
  const broken = [
    ...(spec.hostNetwork === true ? ['host network'] : []),
    ...(spec.hostPID === true ? ['host PID'] : []),
    ...(spec.hostIPC === true ? ['host IPC'] : []),
    ...(pod?.seccompProfile?.type === 'RuntimeDefault' ? [] : ['seccomp']),
    ...(pod?.sysctls ?? []).filter(({ name }) => !SAFE_SYSCTLS.includes(name)).map(({ name }) => `sysctl ${name}`),
    ...(spec.volumes ?? []).flatMap(({ name, ...kinds }) => (Object.keys(kinds).every((kind) => VOLUME_KINDS.includes(kind)) ? [] : [`volume ${name}`])),
  ]
  for (const { name, securityContext: own } of [...(spec.initContainers ?? []), ...spec.containers]) {
    if (own?.privileged === true) broken.push(`${name}: privileged`)
    if (own?.allowPrivilegeEscalation !== false) broken.push(`${name}: privilege escalation`)
    if (!(own?.capabilities?.drop ?? []).includes('ALL')) broken.push(`${name}: capabilities are kept`)
    broken.push(...(own?.capabilities?.add ?? []).filter((added) => added !== 'NET_BIND_SERVICE').map((added) => `${name}: ${added}`))
    if (!(own?.runAsNonRoot ?? pod?.runAsNonRoot ?? false)) broken.push(`${name}: may be root`)
    if ((own?.runAsUser ?? pod?.runAsUser) === 0) broken.push(`${name}: uid 0`)
  }
  return broken
}

export interface Config {
  readonly name: string
  readonly files: readonly { readonly file: string, readonly text: string }[]
}

/** The configs of Curlew in ConfigMaps. */
export function configsOf(objects: readonly Manifest[]): Config[] {
  return objects.filter(({ kind }) => kind === 'ConfigMap').flatMap((object) => {
    const files = Object.entries(z.record(z.string(), z.string()).parse(object['data'])).filter(([file]) => file.endsWith('.yaml')).map(([file, text]) => ({ file, text }))
    return files.length > 0 ? [{ name: nameOf(object), files }] : []
  })
}

/** Name, tag and all. */
export const imagesOf = (objects: readonly Manifest[]) => [...new Set(objects.flatMap((object) => {
  const spec = podOf(object)?.spec
  return [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].map(({ image }) => image)
}))]

export const textOf = (path: string) => readFileSync(join(root, path), 'utf8')
