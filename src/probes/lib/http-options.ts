import { z } from 'zod'
import { byteSize, pattern, secret } from '../../core/fields.ts'
import { taint } from '../../core/secrets.ts'
import { dialFields } from './dial.ts'
import { proxyFields, proxyIssues } from './proxy-options.ts'
import { httpTarget } from './http-target.ts'
import { checkTls, tlsFields } from './tls.ts'

/** Larger bodies would hold up every other probe while they are matched. */
const LARGEST_BODY = 10 * 2 ** 20
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** Bytes that a header may carry (RFC 9110, 5.5): no line ends, or one value could forge others. */
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
const CREDENTIALS: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'cookie'])
const FRAMING: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding', 'host'])

const headerName = () => z.string()
  .regex(HEADER_NAME, 'expected the name of a header')
  .refine((name) => !FRAMING.has(name.toLowerCase()), 'expected another header: Curlew sets this one (host_header changes Host)')
const headerValue = 'expected the value of a header: one line of Latin-1 text'
const secretValue = () => secret().refine((value) => HEADER_VALUE.test(value.reveal()), headerValue)

const headerCheck = () => z.strictObject({
  header: headerName(),
  pattern: pattern(),
  allow_missing: z.boolean().default(false).describe('do not fail when the answer lacks the header'),
})
const statusClass = z.enum(['1xx', '2xx', '3xx', '4xx', '5xx'])

/** The options of the http probe. */
export const httpOptions = z.strictObject({
  target: httpTarget(),
  ...dialFields,
  ...tlsFields,
  ...proxyFields,
  proxy_url: proxyFields.proxy_url.describe('HTTP proxy to go through; it resolves the name of the target, so that ip_protocol counts for addresses: each only'),
  method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']).default('GET').describe('method of the request'),
  host_header: z.string().regex(/^[A-Za-z0-9._:[\]-]+$/, 'expected host or host:port').describe('Host to ask for instead of that of the target; TLS asks for it and verifies it too').optional(),
  headers: z.record(headerName().refine((name) => !CREDENTIALS.has(name.toLowerCase()), 'expected under secret_headers'), z.string().regex(HEADER_VALUE, headerValue))
    .default({}).describe('headers to send'),
  secret_headers: z.record(headerName(), secretValue()).default({}).describe('headers whose values are never shown, and not sent to another host after a redirect'),
  basic_auth: z.strictObject({
    username: z.string().refine((name) => !name.includes(':'), 'expected a user name without a colon'),
    password: secret(),
  }).transform((auth) => {
    // As the header carries it, so that it is hidden too where a server echoes it.
    taint(`${auth.username}:${auth.password.reveal()}`)
    return auth
  }).describe('user name and password').optional(),
  bearer_token: secretValue().describe('token to send as Authorization: Bearer').optional(),
  body: z.string().describe('body of the request; give its Content-Type under headers').optional(),
  status: z.array(z.union([z.int().min(100).max(599), statusClass])).min(1).default(['2xx'])
    .describe('statuses to expect; a redirect that is named by its number is not followed'),
  follow_redirects: z.boolean().default(true).describe('follow up to 10 redirects'),
  marker: z.string().min(1).describe('text that the page must contain, to know it from a hijacked one').optional(),
  body_sha256: z.string().regex(/^[0-9a-f]{64}$/i, 'expected 64 hexadecimal digits').toLowerCase().describe('SHA-256 of the body, decompressed').optional(),
  body_matches: z.array(pattern()).default([]).describe('patterns that the body must match, every one'),
  body_not_matches: z.array(pattern()).default([]).describe('patterns that the body must not match'),
  header_matches: z.array(headerCheck()).default([]).describe('headers that must be there and match'),
  header_not_matches: z.array(headerCheck()).default([]).describe('headers that must be there and not match'),
  body_limit: byteSize().refine((bytes) => bytes <= LARGEST_BODY, 'expected at most 10MB').prefault('1MB').describe('a larger body fails the run, before and after decompression; at most 10MB'),
  fail_if_ssl: z.boolean().default(false).describe('fail when the final page came over TLS'),
  fail_if_not_ssl: z.boolean().default(false).describe('fail when the final page came without TLS'),
}).superRefine((options, context) => {
  checkTls(options, context)
  const issue = (path: string, message: string) => { context.addIssue({ code: 'custom', path: [path], message, input: undefined }) }
  if (options.basic_auth && options.bearer_token) issue('bearer_token', 'expected either basic_auth or bearer_token')
  for (const { key, message } of proxyIssues(options)) issue(key, message)
  if (options.proxy_url || options.proxy_from_environment) {
    if (options.addresses === 'all') issue('addresses', 'expected each, first or any: which addresses a name has is the proxy\'s business')
    if (Object.keys(options.secret_headers).some((name) => name.toLowerCase() === 'proxy-authorization')) issue('secret_headers', 'expected no Proxy-Authorization beside a proxy, whose user name and password stand in its URL')
  }
  if (options.fail_if_ssl && options.fail_if_not_ssl) issue('fail_if_not_ssl', 'expected either fail_if_ssl or fail_if_not_ssl')
  if (options.body !== undefined && ['GET', 'HEAD'].includes(options.method)) issue('body', `expected a method that takes a body, not ${options.method}`)
})

export type HttpOptions = z.output<typeof httpOptions>
