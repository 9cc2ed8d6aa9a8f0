import type { Socket } from 'node:net'
import { explain } from '../../core/errors.ts'
import type { Endpoint } from '../../core/fields.ts'
import { ProbeFailure } from '../../core/probe.ts'
import type { TlsOptions } from '../../core/way.ts'
import { KUBE_API_CODES, type KubeApiCode } from './kube-api-codes.ts'
import type { SessionContext } from './kube-api-session.ts'
import { dialProxy, proxyCodes } from './http-proxy.ts'
import { parseProxy, type Proxy } from './http-proxy-rules.ts'
import { resolveHost } from './resolve.ts'

/** A kubeconfig's `proxy-url`: all that goes by it goes through there, as its clients do. */
export interface ServerProxy {
  /** undefined: it is of a kind that cannot be used. */
  readonly via: Proxy | undefined
  readonly to: Endpoint
  /** `to` is the very address for which the kubeconfig names the proxy. */
  readonly own: boolean
}

/** `server`: the URL that the kubeconfig has. */
export function proxyOf(proxyUrl: string, to: Endpoint, server: string): ServerProxy {
  const { hostname, port, protocol } = new URL(server)
  const own = hostname.replace(/^\[|\]$/g, '') === to.host && (port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)) === to.port
  return { via: parseProxy(proxyUrl), to, own }
}

/**
 * Connects through the proxy. What the proxy does is no fault of the API server, but for its word that it cannot reach what the
 * kubeconfig says it leads to: then no client can. Other addresses are perhaps not its to reach.
 */
export async function dialByProxy(probe: SessionContext, { via, to, own }: ServerProxy, { min_version }: Pick<TlsOptions, 'min_version'>): Promise<Socket> {
  if (!via) throw new ProbeFailure('kube_api_proxy_unsupported' satisfies KubeApiCode, `${to} is behind a proxy that is not http:// or https://`)
  try {
    return await dialProxy(probe, via, to, { min_version }, resolveHost)
  } catch (error) {
    if (probe.signal.aborted) throw error
    const { failure } = explain(error, 'connect', { ...KUBE_API_CODES, ...proxyCodes })
    if (failure.layer === 'prober') throw error
    throw new ProbeFailure((failure.code === 'http_proxy_failed' && own ? 'kube_api_proxy_failed' : 'kube_api_proxy') satisfies KubeApiCode, failure.message)
  }
}
