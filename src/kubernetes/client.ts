import { call, known, readBody, textOf, type Caller } from './call.ts'
import { openConnection, type Connection } from './connection.ts'
import { sentence } from './errors.ts'
import { listAll } from './list.ts'
import { KubeError, TIMEOUT_MS, type ClusterAccess, type KubeCall, type WatchingClient } from './model.ts'
import { watch } from './watch.ts'

const MOST_JSON_BYTES = 64 * 1024 * 1024
const MOST_TEXT_BYTES = 1024 * 1024

/** Who has the same access shares its connections; the last to close ends them. */
const shared = new Map<string, { readonly connection: Connection, holders: number }>()

/** A client of the cluster. Nothing is read and nobody is called before the first call; mistakes in the access reject that. */
export function clusterClient(access: ClusterAccess): WatchingClient {
  const key = JSON.stringify([access.name, access.kubeconfig, access.context, access.timeoutMs])
  const kept = shared.get(key) ?? { connection: openConnection(access), holders: 0 }
  shared.set(key, kept)
  kept.holders++
  return clientOver(access, kept.connection, () => {
    if (--kept.holders > 0) return
    shared.delete(key)
    kept.connection.destroy()
  })
}

/** A client over a connection of its own; `release` is called once, when it is closed. */
export function clientOver(access: ClusterAccess, connection: Connection, release: () => void): WatchingClient {
  const timeoutMs = access.timeoutMs ?? TIMEOUT_MS
  const ending = new AbortController()
  const caller: Caller = { cluster: access.name, connection, signal: ending.signal }
  const called = ({ method = 'GET', path }: KubeCall) => ({ cluster: access.name, verb: method, path })

  return {
    cluster: access.name,
    server: async () => (await known(caller, timeoutMs)).server,
    namespace: async () => (await known(caller, timeoutMs)).namespace,
    credentials: async () => (await known(caller, timeoutMs)).credentials,
    async json(asked) {
      const text = await call(caller, { ...asked, timeoutMs: asked.timeoutMs ?? timeoutMs }, (response) => textOf(called(asked), response, MOST_JSON_BYTES))
      try {
        const read: unknown = JSON.parse(text)
        return read
      } catch (error) {
        throw new KubeError('protocol', sentence(called(asked), 'the answer is not JSON'), { cause: error })
      }
    },
    async text(asked) {
      return await call(caller, { ...asked, accept: '*/*', timeoutMs: asked.timeoutMs ?? timeoutMs }, async (response) => (
        { status: response.statusCode, text: await readBody(called(asked), response, MOST_TEXT_BYTES) }
      ))
    },
    list: (selection, project, signal) => listAll(caller, selection, project, timeoutMs, signal),
    watch: (selection, options) => watch(caller, selection, options, timeoutMs),
    close() {
      if (ending.signal.aborted) return
      ending.abort()
      release()
    },
  }
}
