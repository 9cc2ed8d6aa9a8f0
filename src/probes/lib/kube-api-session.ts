import type { Endpoint } from '../../core/fields.ts'
import { ProbeFailure, type ProbeContext } from '../../core/probe.ts'
import { VERSION } from '../../core/version.ts'
import type { TlsOptions } from '../../core/way.ts'
import { dial, type dialGauges, type DialOptions } from './dial.ts'
import { keptHttp, type Kept, type KeptAnswer } from './http-kept.ts'
import { secure, tlsFailure, type tlsGauges } from './tls.ts'

/** Of a health endpoint a word is enough, of a refusal a sentence. */
const BODY_LIMIT = 64 * 1024

type Context = ProbeContext<'resolve' | 'connect' | 'tls', keyof typeof dialGauges | keyof typeof tlsGauges, never>

/** One API server, asked as often as needed over as few connections as it allows. */
export interface ApiSession {
  /** GET; belongs into a phase of the caller, but for the connection, which has its own phases. */
  ask(path: string, limit?: number): Promise<KeptAnswer>
  /** Connects, where it is not connected; before a phase of the caller begins. */
  connect(): Promise<void>
  /** From now on without the token. False where there was none. */
  forgetToken(): boolean
  close(): void
}

/** Dials the endpoint once it is asked to `connect`. `token` goes to a server whose certificate has verified. */
export function apiSession(probe: Context, endpoint: Endpoint, options: TlsOptions & DialOptions, token: string | undefined): ApiSession {
  /** A second connection repeats nothing of what the first one has said. */
  const quiet: Context = { ...probe, gauge: () => {} }
  let bearer = token
  let connections = 0
  let kept: Kept | undefined
  let close = () => {}

  return {
    async connect() {
      if (kept?.usable()) return
      close()
      const context = connections++ === 0 ? probe : quiet
      const plain = await dial(context, endpoint, options)
      close = () => plain.destroy()
      const socket = await secure(context, plain, endpoint.host, options, ['http/1.1'])
      close = () => {
        socket.destroy()
        plain.destroy()
      }
      kept = keptHttp(socket)
    },
    async ask(path, limit = BODY_LIMIT) {
      if (!kept) throw new Error('not connected')
      const headers = { Host: String(endpoint), 'User-Agent': `Curlew/${VERSION}`, Accept: '*/*', ...(bearer === undefined ? {} : { Authorization: `Bearer ${bearer}` }) }
      try {
        return await kept.get(path, headers, limit)
      } catch (error) {
        throw failureOf(error, options)
      }
    },
    forgetToken() {
      const had = bearer !== undefined
      bearer = undefined
      return had
    },
    close: () => close(),
  }
}

function failureOf(error: unknown, options: TlsOptions): unknown {
  const secured = tlsFailure(error, options)
  if (secured) return secured
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (['HPE_INVALID_EOF_STATE', 'ERR_STREAM_PREMATURE_CLOSE'].includes(code)) return new ProbeFailure('request_reset', 'the server closed the connection in the middle of an answer')
  return code.startsWith('HPE_') ? new ProbeFailure('kube_api_protocol', `the answer is not HTTP/1.1: ${code.slice(4).toLowerCase().replaceAll('_', ' ')}`) : error
}
