import { brotliDecompressSync, gunzipSync, inflateRawSync, inflateSync } from 'node:zlib'
import type { IncomingMessage } from 'node:http'
import { ProbeFailure } from '../../core/probe.ts'

/** What came of a body; `bytes` is cut at the limit when it is too large. */
export interface Body {
  readonly bytes: Buffer
  readonly tooLarge: boolean
}

/** Reads a body of at most `limit` bytes and no byte more; rejects with the stream's error when it ends early. */
export async function readBody(response: IncomingMessage, limit: number): Promise<Body> {
  const chunks: Buffer[] = []
  let length = 0
  const bodiless = response.statusCode === 204 || response.statusCode === 304
  if (!bodiless && Number(response.headers['content-length']) > limit) return { bytes: Buffer.alloc(0), tooLarge: true }
  for await (const chunk of response) {
    const bytes = chunk as Buffer // safe: no encoding is set on the stream
    chunks.push(bytes)
    length += bytes.length
    if (length > limit) return { bytes: Buffer.concat(chunks).subarray(0, limit), tooLarge: true }
  }
  return { bytes: Buffer.concat(chunks), tooLarge: false }
}

/**
 * Undoes the content encoding, up to `limit` bytes. On this thread and at once: zlib's asynchronous calls run on libuv's
 * pool, which hung file systems may have filled, and a limit of megabytes bounds both time (some ms per MB) and memory.
 * Throws ProbeFailure('http_protocol') when the bytes are not what the header says.
 */
export function decoded({ bytes, tooLarge }: Body, encoding: string | undefined, limit: number): Body {
  const name = encoding?.trim().toLowerCase() ?? ''
  if (tooLarge || bytes.length === 0 || name === '' || name === 'identity') return { bytes, tooLarge }
  const options = { maxOutputLength: limit }
  try {
    switch (name) {
      case 'gzip': case 'x-gzip': return { bytes: gunzipSync(bytes, options), tooLarge: false }
      case 'br': return { bytes: brotliDecompressSync(bytes, options), tooLarge: false }
      // Some servers send the bare stream and mean it (RFC 9110, 8.4.1.2, note).
      case 'deflate': return { bytes: ((bytes[0] ?? 0) & 0x0f) === 8 ? inflateSync(bytes, options) : inflateRawSync(bytes, options), tooLarge: false }
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (code === 'ERR_BUFFER_TOO_LARGE') return { bytes: Buffer.alloc(0), tooLarge: true }
    // What is left is about the bytes, unless it is a bug or about our memory.
    if (code === '' || error instanceof TypeError || /MEM|ALLOC/.test(code)) throw error
    throw new ProbeFailure('http_protocol', `the body is not ${name} as its header says`)
  }
  throw new ProbeFailure('http_protocol', `the body has the content encoding ${JSON.stringify(name.slice(0, 40))}, which was not asked for`)
}
