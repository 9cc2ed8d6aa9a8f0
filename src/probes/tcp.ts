import { z } from 'zod'
import { hostPort, pattern } from '../core/fields.ts'
import { defineProbe } from '../core/probe.ts'
import { wayTo } from '../core/way.ts'
import { dial, dialFields, dialGauges } from './lib/dial.ts'
import { closePolitely, readUntil, send } from './lib/stream.ts'
import { awaitRefusal, checkTls, secure, tlsFailure, tlsFields, tlsGauges } from './lib/tls.ts'

/** How much of an answer is looked at. */
const READ_LIMIT = 64 * 1024
/** How much of an answer a sentence shows. */
const SHOWN = 80

const options = z.strictObject({
  target: hostPort(),
  ...dialFields,
  tls: z.boolean().default(false).describe('speak TLS; tcp+tls:// sets it'),
  ...tlsFields,
  send: z.string().describe('text to send once connected, exactly as it stands; a protocol of lines wants its \\r\\n').optional(),
  expect: pattern().describe('what the answer must match; its first 64 KB are read until it does').optional(),
}).superRefine((options, context) => {
  checkTls(options, context)
  if (options.tls) return
  for (const key of ['ca_file', 'cert_file', 'key_file', 'server_name'] as const) {
    if (options[key] !== undefined) context.addIssue({ code: 'custom', path: [key], message: 'expected tls: true beside it', input: options[key] })
  }
})

export const tcp = defineProbe({
  type: 'tcp',
  summary: 'A TCP port, with TLS or without: it connects, and answers what is expected. Not for MySQL, which blocks hosts that connect and say nothing',
  options,
  phases: { resolve: 'resolve', connect: 'connect', tls: 'tls', request: 'request' },
  gauges: {
    ...dialGauges,
    ...tlsGauges,
    probe_failed_due_to_regex: 'Whether what was answered fails a pattern; absent when none is set, or nothing could be compared.',
  },
  codes: {
    tcp_unexpected_answer: { layer: 'assert', reason: 'mismatch', en: 'The server answers, but not what is expected.', zh: '服务器有应答，但内容与预期不符。' },
  },
  schemes: ['tcp', 'tcp+tls'],
  fromUrl(url) {
    if (url.username !== '' || url.password !== '') throw new Error('expected no user name or password in the URL: a TCP probe does not log in')
    if (url.pathname !== '' && url.pathname !== '/') throw new Error('expected a URL without a path, such as tcp://host:port')
    const query = Object.fromEntries(Array.from(url.searchParams, ([key, value]) => [key, key === 'insecure_skip_verify' ? value === 'true' : value]))
    return { ...query, target: url.host, tls: url.protocol === 'tcp+tls:' }
  },
  ways: (options) => wayTo(options, options.tls ? options : undefined),
  example: { target: 'mail.example.org:25', expect: '^220 ', send: 'QUIT\r\n' },

  async run(options, probe) {
    const plain = await dial(probe, options.target, options)
    const socket = options.tls ? await secure(probe, plain, options.target.host, options) : plain
    try {
      const { send: text, expect } = options
      if (text !== undefined || expect !== undefined) {
        await probe.phase('request', async () => {
          try {
            if (text !== undefined) await send(socket, text)
            const answer = expect && await readUntil(socket, expect, READ_LIMIT)
            if (!answer) return
            probe.gauge('probe_failed_due_to_regex', answer.end === 'match' ? 0 : 1)
            if (answer.end === 'match') return
            if (answer.bytes.length === 0) probe.fail('request_reset', 'the server closed the connection without a word')
            probe.fail('tcp_unexpected_answer', answer.end === 'eof'
              ? `the answer ended without a match: ${quoted(answer.bytes)}`
              : `no match within the first ${READ_LIMIT / 1024} KB: ${quoted(answer.bytes)}`)
          } catch (error) {
            throw tlsFailure(error, options) ?? error
          }
        })
      }
      // Whoever sends or expects nothing would leave before a TLS 1.3 server can say that it wants another certificate.
      if ('authorizationError' in socket && expect === undefined) await awaitRefusal(probe, socket, options)
      await closePolitely(socket)
    } finally {
      socket.destroy()
    }
  },
})

/** The beginning of an answer as one line of printable text. */
function quoted(bytes: Buffer): string {
  const text = JSON.stringify(bytes.subarray(0, SHOWN).toString())
  return bytes.length > SHOWN ? `${text} and more` : text
}
