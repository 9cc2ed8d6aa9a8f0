import { z } from 'zod'
import { call, textOf, type Caller } from './call.ts'
import { sentence, type Called } from './errors.ts'
import { KubeError, type Project, type Selection } from './model.ts'

/** The API server's own clients ask for as many. */
const PAGE = 500
const MOST_PAGES = 4_000
const MOST_PAGE_BYTES = 128 * 1024 * 1024
/** A `continue` ends with the version it belongs to, after about five minutes: then from the start, but not for ever. */
const TRIES = 3

const page = z.object({
  metadata: z.object({ resourceVersion: z.string(), continue: z.string().optional() }),
  // A collection without objects has null here.
  items: z.array(z.unknown()).nullish(),
})

/** For Accept: names, labels and annotations only; an API server that cannot answers 406. */
export const METADATA_LIST = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1'
export const METADATA = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1'

/** The path of a selection with its selectors and `more` as query. */
export function pathOf({ path, labelSelector, fieldSelector }: Selection, more: Readonly<Record<string, string>>): string {
  const given: Readonly<Record<string, string | undefined>> = { labelSelector, fieldSelector, ...more }
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(given)) if (value) query.set(name, value)
  return `${path}?${query.toString()}`
}

/** Every object of a selection, page by page. `timeoutMs` is a page's. */
export async function listAll<T>(caller: Caller, selection: Selection, project: Project<T>, timeoutMs: number, signal?: AbortSignal): Promise<{ items: T[], resourceVersion: string }> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await listOnce(caller, selection, project, timeoutMs, signal)
    } catch (error) {
      if (attempt === TRIES || !(error instanceof KubeError && error.trouble === 'gone')) throw error
    }
  }
}

async function listOnce<T>(caller: Caller, selection: Selection, project: Project<T>, timeoutMs: number, signal?: AbortSignal): Promise<{ items: T[], resourceVersion: string }> {
  const items: T[] = []
  let from = ''
  for (let pages = 1; ; pages++) {
    const request = { path: pathOf(selection, { limit: String(PAGE), continue: from }), accept: selection.metadataOnly ? METADATA_LIST : undefined, timeoutMs, signal, verb: 'list' }
    const called = { cluster: caller.cluster, verb: 'list', path: request.path }
    const text = await call(caller, request, (response) => textOf(called, response, MOST_PAGE_BYTES))
    const { metadata, items: raws } = parsePage(called, text)
    for (const raw of raws ?? []) {
      const item = project(raw)
      if (item !== undefined) items.push(item)
    }
    from = metadata.continue ?? ''
    if (from === '') return { items, resourceVersion: metadata.resourceVersion }
    if (pages === MOST_PAGES) throw new KubeError('protocol', sentence(called, `the list does not end after ${MOST_PAGES} pages`))
  }
}

function parsePage(called: Called, text: string): z.output<typeof page> {
  try {
    return page.parse(JSON.parse(text))
  } catch (error) {
    throw new KubeError('protocol', sentence(called, 'the answer is no list of objects'), { cause: error })
  }
}
