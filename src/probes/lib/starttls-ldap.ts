import type { Dialogue } from './starttls.ts'
import { starttlsFailure, strange } from './starttls-codes.ts'

/** ExtendedRequest, message 1, with the name 1.3.6.1.4.1.1466.20037 (RFC 4511, 4.14.1). */
const REQUEST = Buffer.concat([Buffer.from([0x30, 0x1d, 0x02, 0x01, 0x01, 0x77, 0x18, 0x80, 0x16]), Buffer.from('1.3.6.1.4.1.1466.20037')])
/** UnbindRequest, message 2 (RFC 4511, 4.3). It has no answer. */
const UNBIND = Buffer.from([0x30, 0x05, 0x02, 0x01, 0x02, 0x42, 0x00])

const EXTENDED_RESPONSE = 0x78
const SUCCESS = 0
const BUSY = 51

/** LDAP's StartTLS. */
export const ldap = {
  port: 389,
  async begin(wire) {
    wire.write(REQUEST)
    const wanted = 'an LDAP answer'
    const bytes = await wire.read((first) => {
      if (first.length > 0 && first[0] !== 0x30) throw strange(first, wanted)
      const message = elementOf(first, 0)
      return message && message.end
    }, (first) => strange(first, wanted))
    const message = elementOf(bytes, 0)
    const id = message && elementOf(bytes, message.start)
    const response = id && elementOf(bytes, id.end)
    const code = response && elementOf(bytes, response.start)
    if (!code || code.end > bytes.length || response.tag !== EXTENDED_RESPONSE || code.tag !== 0x0a) throw strange(bytes, wanted)
    const result = bytes[code.start]
    if (result === SUCCESS) return
    const matched = elementOf(bytes, code.end)
    const said = matched && elementOf(bytes, matched.end)
    const words = said ? bytes.toString('utf8', said.start, said.end) : ''
    throw starttlsFailure(result === BUSY ? 'starttls_overloaded' : 'starttls_unsupported', `the server answers StartTLS with LDAP result ${result}`, words)
  },
  leave(wire) {
    wire.write(UNBIND)
    return Promise.resolve()
  },
} as const satisfies Dialogue

interface Element {
  readonly tag: number
  /** Where its content begins and ends; the end may lie beyond what has come. */
  readonly start: number
  readonly end: number
}

/** A BER element with a definite length, as LDAP wants it (RFC 4511, 5.1); undefined when its head is not whole. */
function elementOf(bytes: Buffer, at: number): Element | undefined {
  const [tag, first] = [bytes[at], bytes[at + 1]]
  if (tag === undefined || first === undefined) return undefined
  if (first < 0x80) return { tag, start: at + 2, end: at + 2 + first }
  const size = first & 0x7f
  if (size === 0 || size > 4) throw strange(bytes, 'an LDAP answer')
  if (bytes.length < at + 2 + size) return undefined
  const start = at + 2 + size
  return { tag, start, end: start + bytes.readUIntBE(at + 2, size) }
}
