import { z } from 'zod'
import { KubeError, type Informer, type InformerOptions, type WatchEvent } from './model.ts'

/** How long a watch is asked to last, s: short enough that a connection which was cut in silence is not believed for long. */
const LEAST_SECONDS = 90
const SPREAD_SECONDS = 60
const FIRST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 60_000
/** What a server may ask for: a wrong date must not blind for a day. */
const LONGEST_ASKED_MS = 300_000
/** A watch that ends in peace sooner than this, and twice, is waited for: something between here and the server ends it. */
const SHORT_MS = 1_000

const named = z.object({ metadata: z.object({ name: z.string(), namespace: z.string().optional() }) })

interface Held<T> {
  readonly key: string
  readonly item: T | undefined
}

/**
 * Holds what a selection has: a list, then watches from its version. A watch that ends is begun again at once, a version
 * that is too old lists anew, and after anything else it waits (1 to 60 s, doubled and jittered, at least as long as the
 * server asks for) and goes on, for ever. What it holds stays until a list or an event says otherwise.
 */
export function createInformer<T>({ client, selection, project, onChange, onTrouble }: InformerOptions<T>): Informer<T> {
  const stopping = new AbortController()
  let items = new Map<string, T>()
  let version: string | undefined
  let synced = false
  let freshAt: number | undefined
  let trouble: KubeError | undefined
  /** Failures since something last went well. */
  let failures = 0
  /** Among them, versions that were too old: after an outage the first is no more than what is to be expected. */
  let tooOld = 0
  let wake = () => {}

  const held = (raw: unknown): Held<T> | undefined => {
    const read = named.safeParse(raw)
    if (!read.success) return undefined
    const { name, namespace } = read.data.metadata
    return { key: namespace ? `${namespace}/${name}` : name, item: project(raw) }
  }
  const fresh = () => {
    failures = 0
    tooOld = 0
    freshAt = Date.now()
  }
  const works = () => {
    if (!trouble) return
    trouble = undefined
    tell(undefined)
  }

  async function list(): Promise<void> {
    const found = await client.list(selection, held, stopping.signal)
    if (stopping.signal.aborted) return
    items = new Map(found.items.flatMap(({ key, item }) => (item === undefined ? [] : [[key, item] as const])))
    version = found.resourceVersion
    synced = true
    freshAt = Date.now()
    tellChange()
  }

  function take({ type, resourceVersion, object }: WatchEvent): void {
    if (stopping.signal.aborted) return
    fresh()
    version = resourceVersion
    if (type === 'BOOKMARK') return
    const { key, item } = held(object) ?? { key: '', item: undefined }
    if (type !== 'DELETED' && item !== undefined) items.set(key, item)
    // What no longer concerns is as good as gone.
    else if (!items.delete(key)) return
    tellChange()
  }

  /** A listener that throws is our own mistake: it shows as trouble, and is not taken for the API's. */
  function tellChange(): void {
    try {
      onChange()
    } catch (error) {
      throw ours(error)
    }
  }

  async function follow(): Promise<void> {
    let short = 0
    for (;;) {
      if (version === undefined) await list()
      if (stopping.signal.aborted || version === undefined) return
      const began = performance.now()
      const seconds = LEAST_SECONDS + Math.floor(Math.random() * SPREAD_SECONDS)
      await client.watch(selection, { resourceVersion: version, seconds, signal: stopping.signal, onOpen: works, onEvent: take })
      fresh()
      short = performance.now() - began < SHORT_MS ? short + 1 : 0
      if (short > 1) await pause(jittered(FIRST_WAIT_MS))
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await follow()
      } catch (error) {
        if (stopping.signal.aborted) return
        const met = error instanceof KubeError ? error : ours(error)
        failures++
        // After these the version says nothing any more: what is held may have gone by.
        if (met.trouble === 'gone' || met.trouble === 'protocol') version = undefined
        if (met.trouble === 'gone' && ++tooOld === 1) continue
        trouble = met
        tell(met)
        await pause(Math.max(jittered(Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failures - 1))), Math.min(met.retryAfterMs ?? 0, LONGEST_ASKED_MS)))
      }
    }
  }

  const ours = (error: unknown) => new KubeError('protocol', `cluster ${client.cluster}: watch ${selection.path}: a mistake of Curlew's: ${String(error)}`, { cause: error })

  function tell(met: KubeError | undefined): void {
    try {
      onTrouble?.(met)
    } catch {
      // A listener that throws must not stop what it listens to; it has been told.
    }
  }

  /** Returns early when stopped. */
  async function pause(ms: number): Promise<void> {
    if (stopping.signal.aborted) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  void run()

  return {
    items: () => items,
    synced: () => synced,
    freshAt: () => freshAt,
    trouble: () => trouble,
    stop() {
      stopping.abort()
      wake()
    },
  }
}

/** Between half of it and all of it, so that informers which failed together do not come back together. */
function jittered(ms: number): number {
  return ms / 2 + Math.random() * (ms / 2)
}
