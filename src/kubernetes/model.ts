/** How a cluster is reached: a context of a kubeconfig, or the ServiceAccount of the pod that Curlew runs in. */
export interface ClusterAccess {
  /** The label `cluster` of everything found there. */
  readonly name: string
  /** File; without one the ServiceAccount's token. */
  readonly kubeconfig?: string | undefined
  /** Of the kubeconfig; its current context unless given. */
  readonly context?: string | undefined
  /** The longest call, ms. */
  readonly timeoutMs?: number | undefined
  /** Curlew is on the network of its nodes and pods; see `isInside`. */
  readonly inside?: boolean | undefined
}

/** The longest call of an access that says nothing of it, ms. */
export const TIMEOUT_MS = 10_000

/** Whether the addresses of nodes, pods and Services there can be reached: a cluster that is reached by a kubeconfig may be anywhere. */
export function isInside({ kubeconfig, inside }: ClusterAccess): boolean {
  return inside ?? kubeconfig === undefined
}

/** Why a call to the API came to nothing. Closed: a label of metrics. */
export const KUBE_TROUBLES = [
  'config', 'unreachable', 'timeout', 'tls', 'unauthorized', 'forbidden', 'not_found', 'gone', 'conflict', 'throttled', 'server', 'protocol',
] as const
export type KubeTrouble = (typeof KUBE_TROUBLES)[number]

/** The one error that leaves this room; `message` is a sentence for a person that names the cluster and the path, never a token. */
export class KubeError extends Error {
  override readonly name = 'KubeError'
  readonly trouble: KubeTrouble
  /** Of an answer, if there was one. */
  readonly status: number | undefined
  /** `NotFound` and the like, where the answer is a Status of the API's own; whatever else answers in its place has none. */
  readonly reason: string | undefined
  /** ms: the server has asked to wait so long. */
  readonly retryAfterMs: number | undefined

  constructor(trouble: KubeTrouble, message: string, answer: { readonly status?: number | undefined, readonly reason?: string | undefined, readonly retryAfterMs?: number | undefined, readonly cause?: unknown } = {}) {
    super(message, { cause: answer.cause })
    this.trouble = trouble
    this.status = answer.status
    this.reason = answer.reason
    this.retryAfterMs = answer.retryAfterMs
  }
}

export interface KubeCall {
  /** Begins with `/`, escaped, with the query. */
  readonly path: string
  /** GET unless given; a PATCH is a merge patch. */
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Sent as JSON. */
  readonly body?: unknown
  readonly signal?: AbortSignal | undefined
  /** Of the whole call, body included; the cluster's (10 s) unless given. */
  readonly timeoutMs?: number | undefined
}

/** Which objects: a collection of the API, and what of it. */
export interface Selection {
  /** `/api/v1/services`, `/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices`. */
  readonly path: string
  readonly labelSelector?: string | undefined
  readonly fieldSelector?: string | undefined
  /** Only names, labels and annotations come over the wire (PartialObjectMetadata): for objects whose content must not be held, such as Secrets. */
  readonly metadataOnly?: boolean | undefined
}

/** Keeps of one object, as the API's JSON has it, what is needed; undefined leaves it out. Must not throw. */
export type Project<T> = (raw: unknown) => T | undefined

/** What a caller needs to talk TLS to an address of the cluster by itself: one API server, a kubelet. */
export interface Credentials {
  /** PEM; undefined: the machine's own trust. */
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
  /** Goes into `Authorization: Bearer`. */
  readonly token: string | undefined
  readonly insecureSkipVerify: boolean
  /** Of API servers: the name that they are asked for and verified by (`tls-server-name`); undefined: that of their address. */
  readonly serverName?: string | undefined
  /** Of API servers: the proxy on the way to them (`proxy-url`), which may hold a password. */
  readonly proxyUrl?: string | undefined
}

/** One cluster's API. Connections are shared between calls; every call has a deadline; rejections are KubeErrors. */
export interface KubeClient {
  readonly cluster: string
  /** `https://10.0.0.1:6443`: of the kubeconfig, or the Service's in a pod. Rejects with `config`. */
  server(): Promise<string>
  /** The namespace of the context or of the pod; `default` where neither names one. */
  namespace(): Promise<string>
  /** The JSON of a 2xx answer. A 401 is tried once more with credentials read anew. */
  json(call: KubeCall): Promise<unknown>
  /** Any answer that came, whatever its status: for `/readyz` and the like. At most 1 MiB. */
  text(call: KubeCall): Promise<{ readonly status: number, readonly text: string }>
  /** Every object of a selection, in pages of 500, each projected as soon as it is read. */
  list<T>(selection: Selection, project: Project<T>, signal?: AbortSignal): Promise<{ readonly items: readonly T[], readonly resourceVersion: string }>
  credentials(): Promise<Credentials>
  /** Ends what is under way; further calls reject. */
  close(): void
}

/** What a watch tells of one object (meta/v1 WatchEvent); a bookmark's object has a version only. */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'
  readonly resourceVersion: string
  readonly object: unknown
}

export interface WatchOptions {
  readonly resourceVersion: string
  /** The server is asked to end the watch after so many seconds; one that goes on for much longer is cut. */
  readonly seconds: number
  readonly signal: AbortSignal
  /** The server has said yes. */
  readonly onOpen: () => void
  readonly onEvent: (event: WatchEvent) => void
}

/** What `clusterClient` gives: a client that informers can watch by. */
export interface WatchingClient extends KubeClient {
  /** Resolves when the server has ended the watch in peace; `gone` means that the version is too old: list anew. */
  watch(selection: Selection, options: WatchOptions): Promise<void>
}

/** What an informer knows of one selection. */
export interface Informer<T> {
  /** By `namespace/name`, or `name` where there is no namespace. The last good list while the API is away. */
  items(): ReadonlyMap<string, T>
  /** Whether there has been a whole list. */
  synced(): boolean
  /** Wall clock, ms: when it was last certain to be up to date (a list, an event, a bookmark, or a watch that ended in peace). */
  freshAt(): number | undefined
  /** Why it is not connected now. */
  trouble(): KubeError | undefined
  stop(): void
}

export interface InformerOptions<T> {
  readonly client: WatchingClient
  readonly selection: Selection
  readonly project: Project<T>
  /** After the first list, and after every change of what `items` holds. May be called often: the caller gathers. */
  readonly onChange: () => void
  /** At every failure, before the wait that follows it, and with undefined once it works again. */
  readonly onTrouble?: (trouble: KubeError | undefined) => void
}
