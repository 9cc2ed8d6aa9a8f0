import type { SharedCode } from '../../core/codes.ts'
import { explain } from '../../core/errors.ts'
import type { Endpoint } from '../../core/fields.ts'
import type { ProbeContext } from '../../core/probe.ts'
import type { Failure, Layer } from '../../core/result.ts'
import { orAbort } from '../../core/run.ts'
import { dial, type dialGauges, type DialOptions } from './dial.ts'
import { isExpected, type Status } from './http-checks.ts'
import { exchange, type HttpRequest } from './http-exchange.ts'
import { KUBE_PATH_CODES } from './kube-path-codes.ts'
import { secure, type tlsGauges, type TlsOptions } from './tls.ts'

/** What came of one request on one leg. */
export interface LegResult {
  readonly endpoint: Endpoint
  readonly ms: number
  /** Of the answer, if there was one. */
  readonly status: number | undefined
  /** undefined: it is as expected. Layer `prober`: it is our own trouble, and nothing is known of the leg. */
  readonly failure: Failure | undefined
}

export interface LegRequest {
  readonly request: HttpRequest
  readonly dial: Pick<DialOptions, 'ip_protocol'>
  /** The name to ask for, and how; without it the leg is plain HTTP. */
  readonly tls: { readonly name: string, readonly options: TlsOptions } | undefined
  readonly expected: readonly Status[]
}

export type LegGauge = keyof typeof dialGauges | keyof typeof tlsGauges

/** What an answer is read for beside its status: nothing. */
const LIMIT = 64 * 1024
/** Legs end so long before the run, to say which of them did what. */
const MARGIN_MS = 20

const LAYERS: Readonly<Record<string, Layer>> = { resolve: 'resolve', connect: 'connect', tls: 'tls', processing: 'request', transfer: 'request' }

/** One request on a connection of its own, in the time of the run. Never rejects, unless the run is aborted; `gauge` is given what dialling and TLS export. */
export async function walkLeg(probe: ProbeContext<string, LegGauge>, endpoint: Endpoint, { request, tls, expected, ...options }: LegRequest, gauge: ProbeContext<string, LegGauge>['gauge']): Promise<LegResult> {
  const began = performance.now()
  const limit = new AbortController()
  const deadline = probe.deadline - MARGIN_MS
  const timer = setTimeout(() => limit.abort(Object.assign(new Error('no answer in the time of the run'), { code: 'ETIMEDOUT' })), Math.max(0, deadline - began))
  const signal = AbortSignal.any([probe.signal, limit.signal])
  let layer: Layer = 'connect'
  const context: ProbeContext<string, LegGauge, SharedCode> = {
    ...probe, signal, deadline, gauge, zeroPhases: () => {}, took: () => {},
    // Legs run side by side: the clock of the run's own phases knows one at a time.
    phase(name, work) {
      layer = LAYERS[name] ?? layer
      return orAbort(work, signal)
    },
  }
  const result = (status: number | undefined, failure: Failure | undefined): LegResult => ({ endpoint, ms: performance.now() - began, status, failure })
  try {
    const plain = await dial(context, endpoint, { ...options.dial, addresses: 'any' })
    try {
      const socket = tls ? await secure(context, plain, tls.name, tls.options, ['http/1.1']) : plain
      const { status } = await exchange(context, socket, request, { limit: LIMIT, wanted: () => true, tls: tls?.options ?? {} })
      const good = isExpected(status, expected)
      return result(status, good ? undefined : { layer: 'assert', reason: 'mismatch', code: 'status', message: `answers ${status}, expected ${expected.join(', ')}` })
    } finally {
      plain.destroy()
    }
  } catch (error) {
    if (probe.signal.aborted) throw probe.signal.reason
    const { failure } = explain(error, layer, KUBE_PATH_CODES)
    return result(undefined, failure)
  } finally {
    clearTimeout(timer)
    // What is still being dialled goes with it.
    limit.abort()
  }
}
