import type { Request, Response } from 'express'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { acceptsGzip, METRICS_TYPES, metricsFormat, type MetricsFormat } from './http-negotiate.ts'

/** Two Prometheus servers, a second scraper and a person behind one address. Everybody may scrape: one that does not read must not keep the others out. */
const MOST_OF_ONE_CLIENT = 5
/** Each scrape that a client reads slowly keeps the lines of its moment in memory. */
const MOST_SCRAPES = 20
const LONGEST_SCRAPE_S = 120
const USUAL_SCRAPE_S = 60
const CHUNK_CHARACTERS = 64 * 1024

export type Render = (format: MetricsFormat) => AsyncIterable<string>

/**
 * Answers GET and HEAD /metrics. The text is drawn from `render` only as fast as the client reads it. A client that
 * leaves, or has not read everything after its own scrape timeout, ends the rendering; an error in the middle breaks the
 * connection, so that half an exposition is never taken for a whole one.
 */
export function createScrape(render: Render, log: (message: string, fields: Record<string, unknown>) => void) {
  let underWay = 0
  const byClient = new Map<string, number>()

  return async function scrape(request: Request, response: Response): Promise<void> {
    const format = metricsFormat(request.headers.accept)
    const zipped = acceptsGzip(request.headers['accept-encoding'])
    response.vary('Accept')
    response.vary('Accept-Encoding')
    const client = request.socket.remoteAddress ?? ''
    const own = byClient.get(client) ?? 0
    if ((underWay >= MOST_SCRAPES || own >= MOST_OF_ONE_CLIENT) && request.method !== 'HEAD') {
      response.status(503).set('Retry-After', '1').type('text')
        .send(`${own >= MOST_OF_ONE_CLIENT ? `${own} scrapes from this address` : `${underWay} scrapes`} are under way already: try again in a second.\n`)
      return
    }
    const begin = () => {
      response.setHeader('Content-Type', METRICS_TYPES[format])
      if (zipped) response.setHeader('Content-Encoding', 'gzip')
    }
    if (request.method === 'HEAD') {
      begin()
      response.end()
      return
    }

    underWay++
    byClient.set(client, own + 1)
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    const seconds = scrapeSeconds(request.get('X-Prometheus-Scrape-Timeout-Seconds'))
    const deadline = AbortSignal.timeout(Math.ceil(seconds * 1000))
    const signal = AbortSignal.any([gone.signal, deadline])
    const chunks = gathered(render(format))
    try {
      // The first chunk before the status: what cannot be rendered at all is a 500 with a sentence.
      const first = await orAbort(chunks.next(), signal)
      begin()
      const body = Readable.from(resumed(first, chunks), { objectMode: true, highWaterMark: 1 })
      await (zipped ? pipeline(body, createGzip({ level: 1 }), response, { signal }) : pipeline(body, response, { signal }))
    } catch (error) {
      void chunks.return(undefined) // ends a rendering that was never read; what it still throws concerns nobody
        .catch(() => {})
      if (!response.headersSent && !signal.aborted) throw error
      response.destroy()
      if (deadline.aborted) log('a scrape was broken off', { reason: `the client did not read it within ${seconds} s` })
      else if (!isLeaving(error)) log('a scrape was broken off', { reason: error instanceof Error ? error.message : String(error) })
    } finally {
      underWay--
      const left = (byClient.get(client) ?? 1) - 1
      if (left > 0) byClient.set(client, left)
      else byClient.delete(client)
    }
  }
}

/** Whether the error only says that the client has closed its end. */
function isLeaving(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || ('code' in error && ['ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET', 'EPIPE'].includes(String(error.code))))
}

/** Seconds that a scrape may take: as long as Prometheus says it will wait. */
function scrapeSeconds(header: string | undefined): number {
  const seconds = Number(header ?? '')
  return seconds > 0 ? Math.min(seconds, LONGEST_SCRAPE_S) : USUAL_SCRAPE_S
}

/** The same text in pieces of 64 KB: a write for each family would be a system call for each. */
async function* gathered(parts: AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
  let text = ''
  for await (const part of parts) {
    text += part
    if (text.length < CHUNK_CHARACTERS) continue
    yield text
    text = ''
  }
  if (text !== '') yield text
}

async function* resumed(first: IteratorResult<string, void>, rest: AsyncGenerator<string, void, undefined>): AsyncGenerator<string> {
  if (first.done) return
  yield first.value
  yield* rest
}

function orAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
