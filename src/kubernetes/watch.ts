import type { Dispatcher } from 'undici'
import { z } from 'zod'
import { call, noCredentials, refusalOf, type Caller } from './call.ts'
import { deadline } from './deadline.ts'
import { answerError, sentence, type Called } from './errors.ts'
import { METADATA, pathOf } from './list.ts'
import { KubeError, type Selection, type WatchEvent, type WatchOptions } from './model.ts'

/** etcd takes objects of 1.5 MB, and managed fields and a last-applied annotation may double what is sent. */
const MOST_LINE_BYTES = 16 * 1024 * 1024
/** What a watch may last beyond the seconds it was asked for, at most as long again. */
const MARGIN_MS = 15_000

const versioned = z.object({ metadata: z.object({ resourceVersion: z.string().min(1) }) })
const event = z.discriminatedUnion('type', [
  z.object({ type: z.enum(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK']), object: z.unknown() }),
  z.object({ type: z.literal('ERROR'), object: z.object({ code: z.number().optional(), message: z.string().optional() }) }),
])

/** As `WatchingClient.watch`; `timeoutMs` is that of the way to the answer's headers. */
export async function watch(caller: Caller, selection: Selection, options: WatchOptions, timeoutMs: number): Promise<void> {
  const path = pathOf(selection, { watch: 'true', allowWatchBookmarks: 'true', resourceVersion: options.resourceVersion, timeoutSeconds: String(options.seconds) })
  const called = { cluster: caller.cluster, verb: 'watch', path }
  const opening = deadline(timeoutMs, [options.signal])
  let asked = false
  try {
    await call(caller, {
      path, verb: 'watch', accept: selection.metadataOnly ? METADATA : undefined,
      onAsked: () => { asked = true },
      timeoutMs: options.seconds * 1_000 + Math.min(MARGIN_MS, options.seconds * 1_000), signal: opening.signal,
    }, async (response) => {
      opening.lift()
      if (response.statusCode !== 200) throw await refusalOf(called, response)
      options.onOpen()
      await readEvents(called, response, options.onEvent)
    })
  } catch (error) {
    if (opening.passed() && !asked) throw noCredentials(caller.cluster, error)
    if (opening.passed()) throw new KubeError('timeout', sentence(called, `no answer within ${timeoutMs} ms`), { cause: error })
    throw error
  } finally {
    opening.clear()
  }
}

async function readEvents(called: Called, response: Dispatcher.ResponseData, onEvent: (event: WatchEvent) => void): Promise<void> {
  let parts: Buffer[] = []
  let bytes = 0
  // safe: undici's body yields Buffers unless an encoding is set
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      parts.push(chunk.subarray(from, end))
      const line = Buffer.concat(parts).toString('utf8')
      parts = []
      bytes = 0
      from = end + 1
      if (line.trim() !== '') onEvent(parseEvent(called, line))
    }
    if (from < chunk.length) parts.push(chunk.subarray(from))
    bytes += chunk.length - from
    if (bytes > MOST_LINE_BYTES) throw new KubeError('protocol', sentence(called, `an event is longer than ${MOST_LINE_BYTES} bytes`))
  }
  if (bytes > 0) throw new KubeError('unreachable', sentence(called, 'the connection ended in the middle of an event'))
}

function parseEvent(called: Called, line: string): WatchEvent {
  let read: z.output<typeof event>
  let resourceVersion = ''
  try {
    read = event.parse(JSON.parse(line))
    if (read.type !== 'ERROR') resourceVersion = versioned.parse(read.object).metadata.resourceVersion
  } catch (error) {
    throw new KubeError('protocol', sentence(called, 'a line of the watch is no event'), { cause: error })
  }
  // An error that comes in the stream is a Status, whose code stands for the HTTP status.
  if (read.type === 'ERROR') throw answerError(called, read.object.code ?? 500, read.object.message ?? '')
  return { type: read.type, resourceVersion, object: read.object }
}
