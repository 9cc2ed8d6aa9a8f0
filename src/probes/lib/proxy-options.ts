import { z } from 'zod'
import { secret } from '../../core/fields.ts'
import { parseNoProxy, parseProxy } from './http-proxy-rules.ts'

/** The options of whatever may go through an HTTP proxy. */
export const proxyFields = {
  proxy_url: secret().refine((value) => parseProxy(value.reveal()) !== undefined, 'expected http(s)://[user:password@]host[:port]')
    .describe('HTTP proxy to go through; it resolves the name of the target').optional(),
  no_proxy: z.string().superRefine((text, context) => {
    const [place] = parseNoProxy(text).bad
    if (place !== undefined) context.addIssue(`expected hosts, .domains, addresses, networks or * with commas between them; number ${place} is none`)
  }).describe('what is asked without proxy_url: `name` and what is below it, `.name` (only what is below), addresses, networks (10.0.0.0/8) and `*`, with commas between them').optional(),
  proxy_from_environment: z.boolean().default(false).describe('take proxies from http_proxy, https_proxy and no_proxy, in lower or upper case; never for localhost'),
}

/** Mistakes between these options, by key. */
export function proxyIssues(options: { readonly proxy_url?: unknown, readonly no_proxy?: unknown, readonly proxy_from_environment: boolean }): { readonly key: string, readonly message: string }[] {
  return [
    ...options.proxy_url && options.proxy_from_environment ? [{ key: 'proxy_from_environment', message: 'expected either proxy_url or proxy_from_environment' }] : [],
    ...options.no_proxy !== undefined && !options.proxy_url ? [{ key: 'no_proxy', message: 'expected proxy_url beside it' }] : [],
  ]
}
