import { createHash } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { RE2JS } from 're2js'
import { ProbeFailure } from '../../core/probe.ts'
import type { HttpAnswer } from './http-exchange.ts'

export type Status = number | '1xx' | '2xx' | '3xx' | '4xx' | '5xx'

export interface HeaderCheck {
  readonly header: string
  readonly pattern: RE2JS
  readonly allow_missing: boolean
}

export interface Expectations {
  readonly status: readonly Status[]
  readonly marker?: string | undefined
  readonly body_sha256?: string | undefined
  readonly body_limit: number
  readonly body_matches: readonly RE2JS[]
  readonly body_not_matches: readonly RE2JS[]
  readonly header_matches: readonly HeaderCheck[]
  readonly header_not_matches: readonly HeaderCheck[]
  readonly fail_if_ssl: boolean
  readonly fail_if_not_ssl: boolean
}

/** How much of a page is searched for its title, and how much of a header a sentence shows. */
const TITLE_WITHIN = 4_096
const SHOWN = 80

/**
 * Judges the final answer; throws the ProbeFailure of the first thing that is wrong. First what tells most: the status,
 * then whether the page is the right one at all, then its details.
 */
export function judge(answer: HttpAnswer, ssl: boolean, expected: Expectations): void {
  if (!isExpected(answer.status, expected.status)) throw new ProbeFailure('http_status_unexpected', statusSentence(answer, ssl, expected.status))
  if (answer.tooLarge) throw new ProbeFailure('http_body_too_large', `the body is larger than body_limit, ${expected.body_limit} bytes`)
  hijacked(answer, expected)
  checkHeaders(answer, expected)
  checkBody(answer, expected)
  if (expected.fail_if_ssl && ssl) throw new ProbeFailure('http_ssl_mismatch', 'the final page came over TLS')
  if (expected.fail_if_not_ssl && !ssl) throw new ProbeFailure('http_ssl_mismatch', 'the final page came without TLS')
}

/** Whether the list holds the status or its class. */
export function isExpected(status: number, list: readonly Status[]): boolean {
  return list.some((entry) => (typeof entry === 'number' ? entry === status : entry[0] === String(status)[0]))
}

function statusSentence({ status, bytes }: HttpAnswer, ssl: boolean, expected: readonly Status[]): string {
  const name = STATUS_CODES[status]
  const sentence = `the answer is ${status}${name === undefined ? '' : ` ${name}`}, expected ${expected.join(', ')}`
  // What nginx, Apache and Go say to plain HTTP on a TLS port.
  const wantsTls = status === 400 && !ssl && /plain HTTP request was sent to HTTPS port|speaking plain HTTP to an SSL|HTTP request to an HTTPS server/i.test(bytes.subarray(0, TITLE_WITHIN).toString())
  return wantsTls ? `${sentence}; the port speaks TLS, use https://` : sentence
}

function hijacked({ bytes }: HttpAnswer, { marker, body_sha256: hash }: Expectations): void {
  if (marker !== undefined && !bytes.includes(marker)) {
    throw new ProbeFailure('http_hijacked', `the page of ${bytes.length} bytes${titleOf(bytes)} does not contain the marker`)
  }
  const actual = hash === undefined ? undefined : createHash('sha256').update(bytes).digest('hex')
  if (actual !== hash) throw new ProbeFailure('http_hijacked', `the page of ${bytes.length} bytes${titleOf(bytes)} has the SHA-256 ${actual}`)
}

function checkHeaders({ headers }: HttpAnswer, { header_matches: wanted, header_not_matches: unwanted }: Expectations): void {
  for (const { header, pattern, allow_missing: allowed } of wanted) {
    const values = headers.get(header.toLowerCase())
    if (!values && !allowed) throw new ProbeFailure('http_header_mismatch', `the header ${header} is missing`)
    if (values && !values.some((value) => pattern.test(value))) throw new ProbeFailure('http_header_mismatch', `the header ${header} is ${shown(values)}, which does not match ${pattern.pattern()}`)
  }
  for (const { header, pattern, allow_missing: allowed } of unwanted) {
    const values = headers.get(header.toLowerCase())
    if (!values && !allowed) throw new ProbeFailure('http_header_mismatch', `the header ${header} is missing`)
    if (values?.some((value) => pattern.test(value))) throw new ProbeFailure('http_header_mismatch', `the header ${header} is ${shown(values)}, which matches ${pattern.pattern()}`)
  }
}

function checkBody({ bytes }: HttpAnswer, { body_matches: wanted, body_not_matches: unwanted }: Expectations): void {
  if (wanted.length + unwanted.length === 0) return
  const text = bytes.toString()
  for (const pattern of wanted) if (!pattern.test(text)) throw new ProbeFailure('http_body_mismatch', `the body of ${bytes.length} bytes${titleOf(bytes)} does not match ${pattern.pattern()}`)
  for (const pattern of unwanted) if (pattern.test(text)) throw new ProbeFailure('http_body_mismatch', `the body of ${bytes.length} bytes${titleOf(bytes)} matches ${pattern.pattern()}`)
}

/** The title says at a glance whose page came; nothing else of a body is shown. */
function titleOf(bytes: Buffer): string {
  const title = /<title[^>]{0,100}>([^<]{1,80})/i.exec(bytes.subarray(0, TITLE_WITHIN).toString())?.[1]?.trim()
  return title === undefined || title === '' ? '' : ` titled ${JSON.stringify(title)}`
}

function shown(values: readonly string[]): string {
  const text = values.join(', ')
  return JSON.stringify(text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text)
}
