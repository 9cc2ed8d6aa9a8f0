import type { Dispatcher } from 'undici'
import { orAbort } from '../core/run.ts'
import { VERSION } from '../core/version.ts'
import type { Connection, Session } from './connection.ts'
import { deadline } from './deadline.ts'
import { answerError, networkError, sentence, type Called } from './errors.ts'
import { KubeError, type KubeCall } from './model.ts'

/** A call with what only this room says of it. */
export interface Request extends Omit<KubeCall, 'timeoutMs'> {
  readonly timeoutMs: number
  readonly accept?: string | undefined
  /** Of sentences; the method unless given. */
  readonly verb?: string
  /** There are credentials: from here on it is the API that is waited for. */
  readonly onAsked?: () => void
}

/** What one who holds a client calls by. */
export interface Caller {
  readonly cluster: string
  readonly connection: Connection
  /** Ends every call of this holder. */
  readonly signal: AbortSignal
}

type Response = Dispatcher.ResponseData

/** A connection that idled may be ended by the server at the moment it is used; nothing has been done then, and a GET may be sent again. */
const STALE = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'])

/**
 * Sends, tries once more with new credentials after a 401, and lets `read` take the body within the same deadline. Whatever
 * comes of it, the answer is read to its end or its connection is destroyed. Rejects with KubeErrors.
 */
export async function call<T>(caller: Caller, request: Request, read: (response: Response, end: AbortSignal) => Promise<T>): Promise<T> {
  const called = { cluster: caller.cluster, verb: request.verb ?? request.method ?? 'GET', path: request.path }
  await caller.connection.load()
  const end = deadline(request.timeoutMs, [caller.signal, request.signal])
  let response: Response | undefined
  let asked = false
  let by: string | undefined
  try {
    // What knows no deadline, such as a credential plugin, goes on by itself, but nobody waits longer than theirs.
    const session = await orAbort(() => caller.connection.session(), end.signal)
    asked = true
    if (session.credentials.proxyUrl !== undefined) by = new URL(session.credentials.proxyUrl).host
    request.onAsked?.()
    response = await send(session, request, end.signal)
    if (response.statusCode === 401) {
      const renewed = await orAbort(() => caller.connection.session(session), end.signal)
      await response.body.dump({ limit: 65_536 })
      response = await send(renewed, request, end.signal)
    }
    return await read(response, end.signal)
  } catch (error) {
    if (!asked && end.passed()) throw noCredentials(caller.cluster, error)
    if (end.passed()) throw new KubeError('timeout', sentence({ ...called, by }, `no whole answer within ${request.timeoutMs} ms`), { cause: error })
    if (caller.signal.aborted) throw new KubeError('unreachable', sentence(called, 'the client was closed'), { cause: error })
    if (end.signal.aborted) throw new KubeError('timeout', sentence(called, 'given up before the answer'), { cause: error })
    throw networkError({ ...called, by }, error)
  } finally {
    end.clear()
    response?.body.on('error', () => undefined).destroy()
  }
}

/** The body of a 2xx answer as text, at most `mostBytes`; an error for every other one. */
export async function textOf(called: Called, response: Response, mostBytes: number): Promise<string> {
  if (response.statusCode >= 200 && response.statusCode < 300) return await readBody(called, response, mostBytes)
  throw await refusalOf(called, response)
}

/** What the access says, without a call; a credential plugin that hangs is waited for as long as a call would be. */
export async function known({ cluster, connection, signal }: Caller, timeoutMs: number): Promise<Session> {
  await connection.load()
  const end = deadline(timeoutMs, [signal])
  try {
    return await orAbort(() => connection.session(), end.signal)
  } catch (error) {
    if (error instanceof KubeError || !end.signal.aborted) throw error
    throw end.passed()
      ? noCredentials(cluster, error)
      : new KubeError('unreachable', `cluster ${cluster}: the client was closed`, { cause: error })
  } finally {
    end.clear()
  }
}

/** What takes time before the API is asked is a credential plugin alone. */
export function noCredentials(cluster: string, cause: unknown): KubeError {
  return new KubeError('unauthorized', `cluster ${cluster}: no credentials could be had: the credential plugin does not answer`, { cause })
}

/** The error that an answer other than 2xx says. */
export async function refusalOf(called: Called, response: Response): Promise<KubeError> {
  const retryAfter = response.headers['retry-after']
  // The status is what counts: a long or broken text beside it must not hide it.
  const body = await readBody(called, response, 65_536).catch(() => '')
  return answerError(called, response.statusCode, body, typeof retryAfter === 'string' ? retryAfter : undefined)
}

/** Rejects with `protocol` when there is more than `mostBytes`. */
export async function readBody(called: Called, response: Response, mostBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  // safe: undici's body yields Buffers unless an encoding is set
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > mostBytes) throw new KubeError('protocol', sentence(called, `the answer is longer than ${mostBytes} bytes`))
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function send(session: Session, request: Request, signal: AbortSignal): Promise<Response> {
  const { origin, pathname } = new URL(session.server)
  const method = request.method ?? 'GET'
  const body = request.body === undefined ? undefined : JSON.stringify(request.body)
  // Undici looks at the signal once it is connected: a server that accepts and says nothing would be waited for beyond it.
  const once = () => orAbort(() => session.dispatcher.request({
    origin, method, signal,
    path: `${pathname.replace(/\/$/, '')}${request.path}`,
    headers: {
      ...session.headers,
      'user-agent': `curlew/${VERSION}`,
      accept: request.accept ?? 'application/json',
      ...(body === undefined ? {} : { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' }),
    },
    ...(body === undefined ? {} : { body }),
  }), signal)
  try {
    return await once()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (method !== 'GET' || signal.aborted || !STALE.has(code)) throw error
    return await once()
  }
}
