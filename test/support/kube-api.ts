import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer as createPlainServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { makeCertificates } from './certificates.ts'
import { createObjects, fullName, groupOf, placeOf, status, versionOf, type Place } from './kube-api-objects.ts'
import { createStore, keyOf, RESOURCES, type KubeObject, type Resource } from './kube-api-store.ts'
import { temporaryDirectory } from './process.ts'

export type { KubeObject } from './kube-api-store.ts'

/** How a call is misused. Of its answer only so many bytes come: then the connection is gone (`cut`), or nothing more (`stall`). `slow`: it comes after so long, ms. */
export type Fault =
  | { readonly status: number, readonly message?: string, readonly retryAfter?: string, readonly body?: string }
  | 'hang' | 'drop'
  | { readonly cut: number }
  | { readonly stall: number }
  | { readonly slow: number }

export interface KubeApiOptions {
  /** As `kubectl proxy`: no TLS, no credentials. */
  readonly plain?: boolean
  /** Address to listen on; 127.0.0.1 unless given. */
  readonly host?: string
  readonly port?: number
}

export type KubeApi = Awaited<ReturnType<typeof startKubeApi>>

/** Checks of /readyz and /livez that a real one has too. */
const CHECKS = ['ping', 'log', 'etcd', 'etcd-readiness', 'informer-sync', 'poststarthook/start-apiextensions-informers', 'shutdown']

/**
 * A server that speaks the Kubernetes API as the real one does, as far as Curlew uses it, and misbehaves on demand. What it
 * holds is in memory; a namespace comes into being with what is put into it.
 */
export async function startKubeApi({ plain = false, host = '127.0.0.1', port = 0 }: KubeApiOptions = {}) {
  const certificates = makeCertificates()
  const directory = temporaryDirectory()
  const store = createStore()
  const objects = createObjects(store)
  const sockets = new Set<Socket>()
  const requests: { readonly method: string, readonly path: string }[] = []
  const faults: { readonly matches: (call: string) => boolean, readonly fault: Fault, left: number }[] = []
  const broken = new Set<string>()
  let connections = 0
  let token = newToken()
  /** Of ServiceAccounts without any right. */
  const strangers = new Map<string, string>()
  let files = 0
  for (const name of ['default', 'kube-system', 'kube-public', 'kube-node-lease']) put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })

  const handle = (request: IncomingMessage, response: ServerResponse) => {
    answer(request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy()
      else send(response, 500, status(500, 'InternalError', String(error)))
    })
  }
  const server = plain ? createPlainServer(handle) : createServer({
    cert: certificates.good.cert, key: certificates.good.key, ca: certificates.ca.cert, requestCert: true, rejectUnauthorized: false,
  }, handle)
  server.on(plain ? 'connection' : 'secureConnection', () => connections++)
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  const url = `${plain ? 'http' : 'https'}://${host}:${(server.address() as AddressInfo).port}`

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams: query } = new URL(request.url ?? '/', url)
    requests.push({ method: request.method ?? 'GET', path: request.url ?? '/' })
    const fault = faultOf(`${request.method} ${request.url}`)
    if (fault && await misuse(fault, request, response)) return
    const place = placeOf(pathname)
    const refused = refusalOf(request, pathname, place, query)
    if (refused) return send(response, ...refused)
    if (place?.resource.kind === 'ServiceAccount' && place.subresource === 'token') {
      const issued = newToken()
      strangers.set(issued, `system:serviceaccount:${place.namespace}:${place.name}`)
      return send(response, 201, { kind: 'TokenRequest', apiVersion: 'authentication.k8s.io/v1', metadata: { name: place.name }, status: { token: issued } })
    }
    if (place) return await objects.answer(place, request, query, response)
    if (pathname === '/version') return send(response, 200, { major: '1', minor: '35', gitVersion: 'v1.35.0' })
    if (pathname === '/metrics/slis') return text(response, 200, slis())
    const check = /^\/(livez|readyz|healthz)(?:\/(.+))?$/.exec(pathname)
    if (check) return health(check[1] ?? '', check[2], query, response)
    text(response, 404, '404 page not found\n')
  }

  function faultOf(call: string): Fault | undefined {
    const found = faults.find(({ matches }) => matches(call))
    if (found && --found.left <= 0) faults.splice(faults.indexOf(found), 1)
    return found?.fault
  }

  /** Whether that was the answer. */
  async function misuse(fault: Fault, request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    if (fault === 'hang') return true
    if (fault === 'drop') {
      request.socket.destroy()
      return true
    }
    if ('status' in fault) {
      const headers = fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter }
      response.writeHead(fault.status, { 'content-type': 'application/json', ...headers })
      response.end(fault.body ?? JSON.stringify(status(fault.status, 'Fault', fault.message ?? 'a fault of the test')))
      return true
    }
    if ('slow' in fault) {
      await new Promise((resolve) => setTimeout(resolve, fault.slow).unref())
      return false
    }
    if ('cut' in fault) endAfter(fault.cut, response, () => response.socket?.destroy())
    else endAfter(fault.stall, response, () => {})
    return false
  }

  function refusalOf(request: IncomingMessage, pathname: string, place: Place | undefined, query: URLSearchParams): readonly [number, object] | undefined {
    if (plain || (request.socket as TLSSocket).authorized) return undefined
    const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
    if (given === token) return undefined
    const stranger = strangers.get(given ?? '')
    if (given !== undefined && stranger === undefined) return [401, status(401, 'Unauthorized', 'Unauthorized')]
    if (/^\/(?:livez|readyz|healthz|version)/.test(pathname)) return undefined
    const verb = place?.name === undefined ? (query.get('watch') === 'true' ? 'watch' : 'list') : 'get'
    const user = stranger ?? 'system:anonymous'
    const scope = place?.namespace === undefined ? 'at the cluster scope' : `in the namespace "${place.namespace}"`
    return [403, status(403, 'Forbidden', place
      ? `${fullName(place.resource)} is forbidden: User "${user}" cannot ${verb} resource "${place.resource.plural}" in API group "${groupOf(place.resource)}" ${scope}`
      : `forbidden: User "${user}" cannot get path "${pathname}"`)]
  }

  function health(kind: string, name: string | undefined, query: URLSearchParams, response: ServerResponse): void {
    if (name !== undefined) {
      if (!CHECKS.includes(name)) return text(response, 404, '404 page not found\n')
      return broken.has(name) ? text(response, 500, 'internal server error: reason withheld\n') : text(response, 200, 'ok')
    }
    const lines = CHECKS.map((check) => (broken.has(check) ? `[-]${check} failed: reason withheld` : `[+]${check} ok`))
    if (broken.size > 0) return text(response, 500, `${lines.join('\n')}\n${kind} check failed\n`)
    text(response, 200, query.has('verbose') ? `${lines.join('\n')}\n${kind} check passed\n` : 'ok')
  }

  function slis(): string {
    const lines = ['# HELP kubernetes_healthcheck [STABLE] This metric records the result of a single healthcheck.', '# TYPE kubernetes_healthcheck gauge']
    for (const type of ['healthz', 'livez', 'readyz']) for (const name of CHECKS) lines.push(`kubernetes_healthcheck{name="${name}",type="${type}"} ${broken.has(name) ? 0 : 1}`)
    return `${lines.join('\n')}\n`
  }

  /** Adds an object, or replaces the one of its name. Returns it as it is held. */
  function put(object: KubeObject): KubeObject {
    const resource = resourceOf(object)
    const namespace = resource.namespaced ? object.metadata.namespace ?? 'default' : undefined
    if (namespace !== undefined) store.set(resourceOf({ apiVersion: 'v1', kind: 'Namespace' }), { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
    return store.set(resource, { ...object, metadata: { ...object.metadata, ...(namespace === undefined ? {} : { namespace }) } })
  }

  return {
    url,
    port: (server.address() as AddressInfo).port,
    ca: certificates.ca,
    /** Of the client whose certificate it accepts. */
    client: certificates.client,
    put,
    get: (object: Pick<KubeObject, 'apiVersion' | 'kind' | 'metadata'>) => store.get(resourceOf(object), keyOf(withNamespace(object))),
    remove: (object: Pick<KubeObject, 'apiVersion' | 'kind' | 'metadata'>) => store.remove(resourceOf(object), keyOf(withNamespace(object))) !== undefined,
    version: () => String(store.version()),
    token: () => token,
    /** The old token is refused from now on; kubeconfigs that were written hold the old one. */
    rotateToken() {
      token = newToken()
      return token
    },
    /** A kubeconfig's file, with the token or with what `user` says; its only context is `test`, namespace `default`. */
    kubeconfig(options: { readonly user?: object, readonly cluster?: object, readonly file?: string } = {}): string {
      const file = options.file ?? join(directory.path, `kubeconfig-${++files}`)
      writeFileSync(file, JSON.stringify({
        apiVersion: 'v1', kind: 'Config', 'current-context': 'test', preferences: {},
        clusters: [{ name: 'test', cluster: { server: url, ...(plain ? {} : { 'certificate-authority-data': Buffer.from(certificates.ca.cert).toString('base64') }), ...options.cluster } }],
        users: [{ name: 'curlew', user: options.user ?? (plain ? {} : { token }) }],
        contexts: [{ name: 'test', context: { cluster: 'test', user: 'curlew', namespace: 'default' } }],
      }))
      return file
    },
    /** A fault of every call (`GET /api/v1/nodes?…`) that begins with a text or matches; `times` calls, all unless given. Returns its end. */
    fault(calls: string | RegExp, fault: Fault, times = Infinity): () => void {
      const entry = { matches: (call: string) => (typeof calls === 'string' ? call.startsWith(calls) : calls.test(call)), fault, left: times }
      faults.push(entry)
      return () => { if (faults.includes(entry)) faults.splice(faults.indexOf(entry), 1) }
    },
    /** 403 for every call that begins so. */
    forbid: (calls: string) => void faults.push({ matches: (call) => call.startsWith(calls), fault: { status: 403, message: 'forbidden: User "system:serviceaccount:default:curlew" cannot do this' }, left: Infinity }),
    /** Of /livez, /readyz and their checks: `etcd`. */
    check: (name: string, ok: boolean) => void (ok ? broken.delete(name) : broken.add(name)),
    /** All that was asked so far, in order. */
    requests: () => requests as readonly { readonly method: string, readonly path: string }[],
    /** Connections so far, with TLS unless plain. */
    connections: () => connections,
    /** Open now. */
    sockets: () => sockets.size,
    watches: objects.watches,
    /** Versions and `continue` before now are too old. */
    compact() {
      store.compact()
      objects.expire()
    },
    /** Cuts every connection; new ones are accepted. */
    dropConnections() {
      for (const socket of sockets) socket.destroy()
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
      directory.remove()
    },
  }
}

function resourceOf({ apiVersion, kind }: Pick<KubeObject, 'apiVersion' | 'kind'>): Resource {
  const found = RESOURCES.find((resource) => resource.kind === kind && versionOf(resource) === apiVersion)
  if (!found) throw new Error(`test/support/kube-api-store.ts does not know ${apiVersion} ${kind}`)
  return found
}

function withNamespace(object: Pick<KubeObject, 'apiVersion' | 'kind' | 'metadata'>): KubeObject {
  return resourceOf(object).namespaced ? { ...object, metadata: { ...object.metadata, namespace: object.metadata.namespace ?? 'default' } } : object
}

/** A JWT in looks only. */
function newToken(): string {
  return `eyJhbGciOiJSUzI1NiJ9.${randomBytes(24).toString('base64url')}.${randomBytes(16).toString('base64url')}`
}

/** Lets so many bytes of the answer's first piece through, and nothing more. */
function endAfter(bytes: number, response: ServerResponse, then: () => void): void {
  const { write } = response
  const piece = (chunk: unknown) => {
    // The headers announce no length, so that the other side cannot know that this is all.
    write.call(response, String(chunk).slice(0, bytes) || ' ', 'utf8', then)
    Object.assign(response, { write: () => true, end: () => response })
    return response
  }
  Object.assign(response, { write: piece, end: piece })
}

function send(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`)
}

function text(response: ServerResponse, code: number, body: string): void {
  response.writeHead(code, { 'content-type': 'text/plain; charset=utf-8' }).end(body)
}
