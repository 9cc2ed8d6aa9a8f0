import type { Socket } from 'node:net'
import { lineFailure, mayBeErrorLine, memcachedFailure } from './memcached-codes.ts'

/** What a server says of itself over the text protocol. */
export interface TextAnswer {
  readonly version: string
  /** Absent where `stats` is not to be had (proxies). */
  readonly stats: ReadonlyMap<string, string> | undefined
}

/** memcached 1.6 sends 3 KB. */
const LARGEST = 16 * 1024

/**
 * Two commands and an end mark. At least 24 bytes long: a server that speaks the binary protocol only (-B binary, -S)
 * waits for a header of that length before it sees that the magic byte is wrong, and hangs up.
 */
const QUESTION = 'version\r\nstats\r\nversion\r\n'

/**
 * Asks for version and stats over the text protocol; the socket is of no other use afterwards. `closed`: the server hung
 * up without a word. Throws a `ProbeFailure` for errors that the server sent and for bytes that memcached does not send.
 * Waits as long as the socket lives: the caller destroys it.
 */
export function askText(socket: Socket): Promise<TextAnswer | 'closed'> {
  return new Promise((resolve, reject) => {
    let text = ''
    const end = (settle: () => void) => {
      socket.removeListener('data', onData)
      socket.destroy()
      settle()
    }
    const onData = (chunk: Buffer) => {
      text += chunk.toString('latin1')
      try {
        const answer = readAnswer(text)
        if (answer) end(() => resolve(answer))
        else if (text.length > LARGEST) throw memcachedFailure('memcached_protocol', `an answer of more than ${LARGEST} bytes`)
      } catch (error) {
        end(() => reject(error))
      }
    }
    const onClose = () => end(() => {
      if (text === '') resolve('closed')
      else if (!text.startsWith('V')) reject(lineFailure(firstLine(text)))
      else reject(Object.assign(new Error('the server closed the connection in the middle of its answer'), { code: 'ECONNRESET' }))
    })
    socket.on('data', onData)
    socket.on('end', onClose)
    socket.on('error', onClose)
    socket.on('close', onClose)
    socket.write(QUESTION)
  })
}

/** The whole answer, or undefined while it is incomplete. */
function readAnswer(text: string): TextAnswer | undefined {
  const lines = text.split('\r\n')
  const unfinished = lines.pop() ?? ''
  const [first = unfinished] = lines
  if (!first.startsWith('VERSION ')) {
    if (lines.length === 0 && ('VERSION '.startsWith(first) || mayBeErrorLine(first))) return undefined
    throw lineFailure(firstLine(text))
  }
  const last = lines.at(-1) ?? ''
  // Not answered `stats` at all, or with an error: what comes last is the second version.
  if (lines.length < 2 || !last.startsWith('VERSION ')) return undefined
  const stats = new Map<string, string>()
  for (const line of lines) {
    const [, name, value] = /^STAT (\S+) (.*)$/.exec(line) ?? []
    if (name !== undefined && value !== undefined) stats.set(name, value)
  }
  return { version: first.slice('VERSION '.length), stats: stats.size > 0 ? stats : undefined }
}

function firstLine(text: string): string {
  return text.split(/\r?\n/, 1)[0] ?? ''
}
