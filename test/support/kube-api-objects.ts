import type { IncomingMessage, ServerResponse } from 'node:http'
import { mergePatch, RESOURCES, selects, type Change, type KubeObject, type Resource, type Store } from './kube-api-store.ts'

/** What a path of the API names. */
export interface Place {
  readonly resource: Resource
  readonly namespace: string | undefined
  readonly name: string | undefined
  readonly subresource: string | undefined
}

/** A Status object as the API server sends it with everything that is not 2xx. */
export function status(code: number, reason: string, message: string): object {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code }
}

export function placeOf(path: string): Place | undefined {
  const match = /^(\/api\/v1|\/apis\/[^/]+\/[^/]+)(?:\/namespaces\/([^/]+)(?=\/[^/]))?\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(path)
  if (!match) return undefined
  const [, root, namespace, plural, name, subresource] = match
  const resource = RESOURCES.find((known) => known.root === root && known.plural === plural)
  // `/namespaces/shop/status` is the subresource of a namespace.
  if (!resource) return root === '/api/v1' && namespace !== undefined && ['status', 'finalize'].includes(plural ?? '') ? placeOf(`/api/v1/namespaces/${namespace}`) : undefined
  if (namespace !== undefined && !resource.namespaced) return undefined
  return { resource, namespace, name, subresource }
}

/** Of a list: what comes on the next pages, as it was when the list began. */
interface Rest {
  readonly items: readonly KubeObject[]
  readonly version: number
}

const METADATA_ONLY = /as=PartialObjectMetadata/

/** Answers list, watch, get, create, update, patch and delete. */
export function createObjects(store: Store) {
  /** What is left of lists that were begun. */
  const rests = new Map<string, Rest | 'expired'>()
  const watches = new Set<Watch>()
  let tokens = 0

  function list(place: Place, query: URLSearchParams, metadataOnly: boolean): readonly [number, object] {
    const begun = query.get('continue')
    const rest = begun === null ? { items: store.all(place.resource).filter(wanted(place, query)), version: store.version() } : rests.get(begun)
    if (!rest) return [400, status(400, 'BadRequest', 'continue key is not valid: illegal base64 data')]
    if (rest === 'expired') return [410, status(410, 'Expired', 'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.')]
    const limit = Number(query.get('limit') ?? 0) || rest.items.length
    const items = rest.items.slice(0, limit)
    const left = rest.items.slice(limit)
    const token = left.length > 0 ? `next-${++tokens}` : ''
    if (token !== '') rests.set(token, { items: left, version: rest.version })
    const kind = metadataOnly ? { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1' } : { kind: `${place.resource.kind}List`, apiVersion: versionOf(place.resource) }
    return [200, {
      ...kind,
      metadata: { resourceVersion: String(rest.version), ...(token === '' ? {} : { continue: token, ...(query.get('labelSelector') || query.get('fieldSelector') ? {} : { remainingItemCount: left.length }) }) },
      items: items.map((object) => (metadataOnly ? partial(object) : listed(object))),
    }]
  }

  function watch(place: Place, query: URLSearchParams, metadataOnly: boolean, response: ServerResponse): void {
    const from = Number(query.get('resourceVersion') ?? 0)
    const is = wanted(place, query)
    response.writeHead(200, { 'content-type': 'application/json' })
    response.flushHeaders()
    const send = (type: string, object: object) => void response.write(`${JSON.stringify({ type, object })}\n`)
    if (from > 0 && from < store.oldest()) {
      send('ERROR', status(410, 'Expired', 'The resourceVersion for the provided watch is too old.'))
      response.end()
      return
    }
    const shaped = (object: KubeObject) => (metadataOnly ? partial(object) : object)
    const tell = ({ version, resource, before, after }: Change) => {
      if (resource !== place.resource) return
      const was = before !== undefined && is(before)
      const now = after !== undefined && is(after)
      const gone = before && { ...before, metadata: { ...before.metadata, resourceVersion: String(version) } }
      if (now && after) send(was ? 'MODIFIED' : 'ADDED', shaped(after))
      else if (was && gone) send('DELETED', shaped(gone))
    }
    if (from === 0) for (const object of store.all(place.resource).filter(is)) send('ADDED', shaped(object))
    else for (const change of store.changes()) if (change.version > from) tell(change)

    const began = store.version()
    const unlisten = store.listen(tell)
    const bookmark = () => {
      // None where nothing has changed since the watch began, not even what it does not select.
      if (query.get('allowWatchBookmarks') !== 'true' || store.version() <= began) return
      const kind = metadataOnly ? { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1' } : { kind: place.resource.kind, apiVersion: versionOf(place.resource) }
      send('BOOKMARK', { ...kind, metadata: { resourceVersion: String(store.version()) } })
    }
    const end = () => {
      bookmark()
      response.end()
    }
    const timer = setTimeout(end, Number(query.get('timeoutSeconds') ?? 1_800) * 1_000)
    const open: Watch = { path: pathOf(place), bookmark, end, response, send }
    watches.add(open)
    response.on('close', () => {
      clearTimeout(timer)
      unlisten()
      watches.delete(open)
    })
  }

  async function change(place: Place, request: IncomingMessage, query: URLSearchParams): Promise<readonly [number, object]> {
    const { resource, namespace, name } = place
    const body = await bodyOf(request)
    if (typeof body !== 'object' || body === null) return [400, status(400, 'BadRequest', 'the object provided is unrecognized')]
    const about = fullName(resource)
    const given = body as KubeObject
    const called = name ?? given.metadata.name
    const key = namespace === undefined ? called : `${namespace}/${called}`
    const before = store.get(resource, key)
    const complete = (object: KubeObject): KubeObject => ({
      ...object, apiVersion: versionOf(resource), kind: resource.kind,
      metadata: { ...object.metadata, name: called, ...(namespace === undefined ? {} : { namespace }) },
    })
    const write = (code: number, object: KubeObject): readonly [number, object] => {
      const asked = given.metadata?.resourceVersion
      if (before && asked !== undefined && asked !== before.metadata.resourceVersion) {
        return [409, status(409, 'Conflict', `Operation cannot be fulfilled on ${about} "${called}": the object has been modified; please apply your changes to the latest version and try again`)]
      }
      if (query.get('dryRun') === 'All') return [code, object]
      return [code, store.set(resource, object)]
    }
    if (request.method === 'POST') {
      if (namespace !== undefined && !store.get(namespaces, namespace)) return [404, status(404, 'NotFound', `namespaces "${namespace}" not found`)]
      if (before) return [409, status(409, 'AlreadyExists', `${about} "${called}" already exists`)]
      return write(201, complete(given))
    }
    if (!before) return [404, notFound(place)]
    if (request.method === 'PUT') return write(200, complete(place.subresource === 'status' ? { ...before, status: given['status'] } : given))
    if (!/merge-patch\+json/.test(request.headers['content-type'] ?? '')) return [415, status(415, 'UnsupportedMediaType', 'the body of the request was in an unknown format')]
    return write(200, complete(mergePatch(before, given) as KubeObject))
  }

  return {
    async answer(place: Place, request: IncomingMessage, query: URLSearchParams, response: ServerResponse): Promise<void> {
      const metadataOnly = METADATA_ONLY.test(request.headers.accept ?? '')
      const send = ([code, body]: readonly [number, object]) => void response.writeHead(code, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`)
      const key = place.namespace === undefined ? place.name ?? '' : `${place.namespace}/${place.name ?? ''}`
      if (request.method !== 'GET' && request.method !== 'DELETE') return send(await change(place, request, query))
      if (request.method === 'DELETE') return send(store.remove(place.resource, key) ? [200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' }] : [404, notFound(place)])
      if (place.name === undefined) return ['true', '1'].includes(query.get('watch') ?? '') ? watch(place, query, metadataOnly, response) : send(list(place, query, metadataOnly))
      const object = store.get(place.resource, key)
      return send(object ? [200, metadataOnly ? partial(object) : object] : [404, notFound(place)])
    },
    watches: () => [...watches] as readonly Watch[],
    /** Lists that were begun cannot go on. */
    expire: () => { for (const token of rests.keys()) rests.set(token, 'expired') },
  }
}

export interface Watch {
  readonly path: string
  bookmark(): void
  /** In peace, with a bookmark before. */
  end(): void
  send(type: string, object: object): void
  readonly response: ServerResponse
}

const namespaces = RESOURCES.find(({ plural }) => plural === 'namespaces')!

/** `core` has no name. */
export const groupOf = ({ root }: Resource) => (root === '/api/v1' ? '' : root.split('/')[2] ?? '')
/** `leases.coordination.k8s.io`. */
export const fullName = (resource: Resource) => (groupOf(resource) === '' ? resource.plural : `${resource.plural}.${groupOf(resource)}`)
export const versionOf = (resource: Resource) => (resource.root === '/api/v1' ? 'v1' : resource.root.slice('/apis/'.length))

function notFound({ resource, name }: Place): object {
  return status(404, 'NotFound', `${fullName(resource)} "${name ?? ''}" not found`)
}

function wanted({ namespace }: Place, query: URLSearchParams): (object: KubeObject) => boolean {
  const selected = selects(query.get('labelSelector') ?? '', query.get('fieldSelector') ?? '')
  return (object) => (namespace === undefined || object.metadata.namespace === namespace) && selected(object)
}

/** In a list of a built-in type no object says its kind. */
function listed(object: KubeObject): object {
  return { ...object, apiVersion: undefined, kind: undefined }
}

function partial({ metadata }: KubeObject): object {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata }
}

function pathOf({ resource, namespace }: Place): string {
  return `${resource.root}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${resource.plural}`
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch {
    return undefined
  }
}

