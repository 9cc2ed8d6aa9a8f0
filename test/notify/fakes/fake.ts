import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Answer, ChannelRequest, Rate } from '../../../src/notify/channel.ts'
import { listening } from '../../support/tcp.ts'

export interface Reply {
  readonly status: number
  /** An object is sent as JSON. */
  readonly body: string | object
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * What goes wrong with a request: an answer in the place of the service's; a connection reset before or after the service took
 * the message; no answer, the message taken or not; or the service's own 'too fast'.
 */
export type Failure = Reply | 'reset' | 'reset_after_accept' | 'hang' | 'hang_after_accept' | 'too_fast'

/** Answers that are no service's, as proxies and broken networks give them. */
export const GARBAGE: readonly Reply[] = [
  { status: 200, body: '<!DOCTYPE html><html><body>Please log in to the guest network</body></html>', headers: { 'content-type': 'text/html' } },
  { status: 200, body: '' },
  { status: 200, body: '{"errcode":0,"code":0,"StatusCo' },
  { status: 200, body: '[]' },
  { status: 200, body: 'null' },
  { status: 200, body: '0' },
  { status: 200, body: '{}' },
  { status: 200, body: 'x'.repeat(65_536) },
]

export interface FakeRequest {
  readonly url: URL
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

/** A message that the service took. */
export interface Taken {
  /** ms since 1970 when it was taken. */
  readonly at: number
  readonly url: string
  readonly headers: IncomingMessage['headers']
  /** Parsed, if it is JSON. */
  readonly body: unknown
  /**
   * The answer did not go out: the sender cannot know. One that a sender which died at that moment did not read any more
   * looks delivered from here: `answeredAt` tells when.
   */
  answerLost: boolean
  /** ms since 1970 when the answer was handed to the network. */
  answeredAt?: number
}

/** What makes a fake one service. */
export interface FakeSpec {
  readonly path: string
  readonly rates: readonly Rate[]
  /** What the rate counts: messages that were taken, or all. */
  readonly counts: 'taken' | 'all'
  /** How long it takes nothing more once a rate is passed. */
  readonly penaltyMs?: number
  readonly tooFast: Reply
  /** The service's checks: undefined where it takes the message. */
  refuse(request: FakeRequest): Reply | undefined
  taken: Reply | ((request: FakeRequest) => Reply)
}

export interface FakeOptions {
  /** In the place of the service's own; [] for none. */
  readonly rates?: readonly Rate[]
  readonly penaltyMs?: number
}

export interface Fake {
  /** With the service's path, without a token. */
  readonly url: string
  /** Taken messages in order. */
  readonly messages: readonly Taken[]
  /** Requests that came in whole. */
  requests(): number
  /** Answers of 'too fast' that the rate gave, not the script. */
  throttled(): number
  accepted(): number
  answerLost(): number
  /** One failure for the next request, or a script that sees each request's number (from 1) and body. */
  fail(next: Failure | ((requestNumber: number, body: string) => Failure | undefined)): void
  close(): Promise<void>
}

const MOST_BODY = 10 * 2 ** 20

/** A chat service on 127.0.0.1 with its checks, its rate over a sliding window, and failures on demand. */
export async function fakeService(spec: FakeSpec, options: FakeOptions = {}): Promise<Fake> {
  const messages: Taken[] = []
  const rates = options.rates ?? spec.rates
  const penaltyMs = options.penaltyMs ?? spec.penaltyMs ?? 0
  const longest = Math.max(0, ...rates.map(({ perMs }) => perMs))
  let counted: number[] = []
  let blockedUntil = 0
  let requests = 0
  let throttled = 0
  let script: ((requestNumber: number, body: string) => Failure | undefined) | undefined

  const overRate = (now: number): boolean => {
    counted = counted.filter((at) => at > now - longest)
    const over = now < blockedUntil || rates.some(({ messages: most, perMs }) => counted.filter((at) => at > now - perMs).length >= most)
    if (over && now >= blockedUntil) blockedUntil = now + penaltyMs
    return over
  }

  const take = (request: FakeRequest, response: ServerResponse): Taken => {
    const taken: Taken = { at: Date.now(), url: request.url.href, headers: request.headers, body: parsed(request.text), answerLost: true }
    messages.push(taken)
    response.on('finish', () => { Object.assign(taken, { answerLost: false, answeredAt: Date.now() }) })
    return taken
  }

  const handle = (incoming: IncomingMessage, response: ServerResponse, text: string): void => {
    requests += 1
    const request: FakeRequest = { url: new URL(incoming.url ?? '/', 'http://127.0.0.1'), headers: incoming.headers, text }
    const failure = script?.(requests, text)
    if (failure === 'reset') return reset(incoming.socket)
    if (failure === 'hang') return
    if (failure === 'too_fast') return answer(response, spec.tooFast)
    if (failure !== undefined && typeof failure === 'object') return answer(response, failure)
    const now = Date.now()
    if (overRate(now)) {
      throttled += 1
      if (spec.counts === 'all') counted.push(now)
      return answer(response, spec.tooFast)
    }
    const refused = spec.refuse(request)
    if (!refused || spec.counts === 'all') counted.push(now)
    if (refused) return answer(response, refused)
    take(request, response)
    if (failure === 'reset_after_accept') return reset(incoming.socket)
    if (failure === 'hang_after_accept') return
    answer(response, typeof spec.taken === 'function' ? spec.taken(request) : spec.taken)
  }

  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = []
    let size = 0
    incoming.on('error', () => {})
    incoming.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > MOST_BODY) reset(incoming.socket)
      else chunks.push(chunk)
    })
    incoming.on('end', () => handle(incoming, response, Buffer.concat(chunks).toString()))
  })
  const { port, close } = await listening(server)
  return {
    url: `http://127.0.0.1:${port}${spec.path}`,
    messages,
    requests: () => requests,
    throttled: () => throttled,
    accepted: () => messages.length,
    answerLost: () => messages.filter((message) => message.answerLost).length,
    fail(next) {
      let left = 1
      script = typeof next === 'function' ? next : () => left-- > 0 ? next : undefined
    },
    close,
  }
}

function reset(socket: Socket): void {
  socket.resetAndDestroy()
}

function answer(response: ServerResponse, { status, body, headers }: Reply): void {
  response.writeHead(status, { 'content-type': typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/json', ...headers })
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
}

/** A JSON text's value; undefined where it is none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Posts a channel's request as the delivery does. */
export async function post({ url, headers, body }: ChannelRequest): Promise<Answer> {
  const response = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal: AbortSignal.timeout(5_000) })
  return { status: response.status, headers: Object.fromEntries(response.headers), body: (await response.text()).slice(0, 65_536) }
}
