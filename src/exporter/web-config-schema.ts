import { z } from 'zod'
import { CIPHERS, CLIENT_AUTH, CURVES, TLS_VERSIONS, type Cipher, type Curve, type TlsVersion } from './http-tls.ts'

export const SCOPES = ['read', 'operate', 'notify'] as const
/** `operate` (reload) implies the others; `notify` is for Alertmanager. */
export type Scope = (typeof SCOPES)[number]

/** bcrypt in JavaScript needs about 60 ms at cost 10 and doubles with each step. */
const HIGHEST_COST = 15

const text = () => z.string('expected a text')
const oneOf = <const T extends readonly string[]>(values: T) => z.enum(values, { error: `expected one of ${values.join(', ')}` })
// safe: Object.keys of a literal gives exactly its keys
const keysOf = <K extends string>(table: Readonly<Record<K, unknown>>) => Object.keys(table) as [K, ...K[]]
const flag = () => z.boolean('expected true or false')

const tlsSchema = z.strictObject({
  cert: text().optional(),
  cert_file: text().optional(),
  key: text().optional(),
  key_file: text().optional(),
  client_ca: text().optional(),
  client_ca_file: text().optional(),
  client_auth_type: z.preprocess((value) => (value === '' ? undefined : value), oneOf(CLIENT_AUTH).optional()),
  client_allowed_sans: z.array(text(), 'expected a list of names').optional(),
  min_version: oneOf(keysOf<TlsVersion>(TLS_VERSIONS)).default('TLS12'),
  max_version: oneOf(keysOf<TlsVersion>(TLS_VERSIONS)).default('TLS13'),
  cipher_suites: z.array(oneOf(keysOf<Cipher>(CIPHERS)), 'expected a list of cipher suites').default([]),
  prefer_server_cipher_suites: flag().default(true),
  curve_preferences: z.array(oneOf(keysOf<Curve>(CURVES)), 'expected a list of curves').default([]),
}, 'expected a mapping')

const headerValue = () => text().regex(/^[\t\x20-\x7e]*$/, 'expected printable ASCII')

/** The format of exporter-toolkit, plus `bearer_tokens`. */
export const webSchema = z.strictObject({
  tls_server_config: tlsSchema.nullish(),
  http_server_config: z.strictObject({
    // Taken as everywhere, but HTTP/1.1 is what is spoken: clients agree on it in the TLS handshake.
    http2: flag().optional(),
    headers: z.strictObject({
      'Content-Security-Policy': headerValue().optional(),
      'X-Frame-Options': oneOf(['deny', 'sameorigin']).optional(),
      'X-Content-Type-Options': oneOf(['nosniff']).optional(),
      'X-XSS-Protection': headerValue().optional(),
      'Strict-Transport-Security': headerValue().optional(),
    }, 'expected a mapping').nullish(),
  }, 'expected a mapping').nullish(),
  basic_auth_users: z.record(
    z.string().regex(/^[^:\p{Cc}]{1,256}$/u, 'expected a user name without a colon'),
    text().regex(/^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/, { error: 'expected a bcrypt hash, as htpasswd -nBC 10 prints it', abort: true })
      .refine((hash) => costOf(hash) >= 4 && costOf(hash) <= HIGHEST_COST, `expected a bcrypt cost between 4 and ${HIGHEST_COST}: a higher one takes seconds for each login`),
    'expected a mapping of user names to bcrypt hashes',
  ).nullish(),
  bearer_tokens: z.array(z.strictObject({
    name: text().regex(/^[\w.@-]{1,64}$/, 'expected a name of letters, digits, ., _, @ and -'),
    token: text().optional(),
    token_file: text().optional(),
    scopes: z.array(oneOf(SCOPES), 'expected a list of scopes').min(1, 'expected at least one scope'),
  }, 'expected name, token or token_file, and scopes'), 'expected a list of tokens').nullish(),
  rate_limit: z.strictObject({
    interval: z.union([z.literal(0), text()], 'expected a duration such as 1s').optional(),
    burst: z.int('expected a whole number').min(0, 'expected at least 0').optional(),
  }, 'expected a mapping').nullish(),
}, 'expected a mapping')

/** What the file says, checked key by key: what keys have to do with each other is not. */
export type Raw = z.output<typeof webSchema>
/** Tells a mistake at a path of the file; `atKey`: it is the key at its end, not the value. */
export type Report = (path: readonly PropertyKey[], message: string, atKey?: boolean) => void

/** The cost of a bcrypt hash: 2^cost rounds. */
export function costOf(hash: string): number {
  return Number(hash.slice(4, 6))
}
