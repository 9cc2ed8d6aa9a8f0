import type { Socket } from 'node:net'
import type { Endpoint } from '../../core/fields.ts'
import type { ProbeContext } from '../../core/probe.ts'
import { VERSION } from '../../core/version.ts'
import type { TlsOptions } from '../../core/way.ts'
import type { dialGauges } from './dial.ts'
import { keptFailure, keptHttp, type Kept, type KeptAnswer } from './http-kept.ts'
import type { KubeApiCode } from './kube-api-codes.ts'
import { secure, type tlsGauges } from './tls.ts'

/** Of a health endpoint a word is enough, of a refusal a sentence. */
const BODY_LIMIT = 64 * 1024

export type SessionContext = ProbeContext<'resolve' | 'connect' | 'tls', keyof typeof dialGauges | keyof typeof tlsGauges, never>

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

/** Dials the endpoint, by `dial`, once it is asked to `connect`. `token` goes to a server whose certificate has verified. */
export function apiSession(probe: SessionContext, endpoint: Endpoint, options: TlsOptions, token: string | undefined, dial: (probe: SessionContext) => Promise<Socket>): ApiSession {
  /** A second connection repeats nothing of what the first one has said. */
  const quiet: SessionContext = { ...probe, gauge: () => {} }
  let bearer = token
  let connections = 0
  let kept: Kept | undefined
  let close = () => {}

  return {
    async connect() {
      if (kept?.usable()) return
      close()
      const context = connections++ === 0 ? probe : quiet
      const plain = await dial(context)
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
        throw keptFailure(error, 'kube_api_protocol' satisfies KubeApiCode, options)
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
