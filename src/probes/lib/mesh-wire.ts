import { randomBytes } from 'node:crypto'

/**
 * What agents say to each other, over TCP and UDP alike: `CRLW`, a version, `Q` or `A`, the length of the whole in two bytes, 16
 * random bytes that tell one question from another, filling. An answer is its question with another letter: never longer, so
 * that nobody gains by asking in another's name, and never a question, so that two responders cannot keep each other busy.
 */
const MAGIC = Buffer.from('CRLW\u0001')
const QUESTION = 'Q'.charCodeAt(0)
const ANSWER = 'A'.charCodeAt(0)
const KIND_AT = MAGIC.length
const LENGTH_AT = KIND_AT + 1
const NONCE_AT = LENGTH_AT + 2
const NONCE = 16

/** The shortest question, bytes. */
export const SHORTEST = NONCE_AT + NONCE
/** The longest one: a frame of 9,000 bytes holds it with the headers of IPv4 and UDP. */
export const LONGEST = 8_972

/** A question of so many bytes, from SHORTEST to LONGEST, unlike any other. */
export function question(size: number): Buffer {
  const bytes = randomBytes(size)
  MAGIC.copy(bytes)
  bytes[KIND_AT] = QUESTION
  bytes.writeUInt16BE(size, LENGTH_AT)
  return bytes
}

/** How long the question is that these bytes begin with: undefined while too few have come to tell, 0 when it is none. */
export function questionLength(bytes: Buffer): number | undefined {
  if (bytes.length < NONCE_AT) return MAGIC.subarray(0, bytes.length).equals(bytes.subarray(0, MAGIC.length)) ? undefined : 0
  if (!MAGIC.equals(bytes.subarray(0, MAGIC.length)) || bytes[KIND_AT] !== QUESTION) return 0
  const length = bytes.readUInt16BE(LENGTH_AT)
  return length >= SHORTEST && length <= LONGEST ? length : 0
}

/** Makes a question its own answer, in place. */
export function turnIntoAnswer(asked: Buffer): Buffer {
  asked[KIND_AT] = ANSWER
  return asked
}

/** The answer that a question is to get. */
export function answerTo(asked: Buffer): Buffer {
  return turnIntoAnswer(Buffer.from(asked))
}

/** What tells a question, or its answer, from the others of a run. */
export function nonceOf(bytes: Buffer): string {
  return bytes.toString('latin1', NONCE_AT, SHORTEST)
}
