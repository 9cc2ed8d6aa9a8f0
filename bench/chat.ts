import { createServer } from 'node:http'
import { listening } from '../test/support/tcp.ts'

const LONGEST_MS = 10_000

/** A chat service that takes everything, in this process: it knows when a message was there. */
export interface Chat {
  readonly url: string
  /** `performance.now()` when the next message that holds this text had come in whole, and the message. */
  arrival(text: string): Promise<{ readonly at: number, readonly body: string }>
  close(): Promise<void>
}

/** Answers as an incoming webhook of Slack does. */
export async function startChat(): Promise<Chat> {
  const waiting = new Map<string, (arrived: { readonly at: number, readonly body: string }) => void>()
  const { port, close } = await listening(createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => { chunks.push(chunk) })
    request.on('end', () => {
      const at = performance.now()
      response.end('ok')
      const body = Buffer.concat(chunks).toString()
      for (const [text, arrived] of waiting) if (body.includes(text)) arrived({ at, body })
    })
  }))
  return {
    url: `http://127.0.0.1:${port}/services/T00000000/B00000000/benchmark`,
    arrival(text) {
      return new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`no message about ${text} within ${LONGEST_MS} ms`)), LONGEST_MS)
        waiting.set(text, (arrived) => {
          clearTimeout(late)
          waiting.delete(text)
          resolve(arrived)
        })
      })
    },
    close,
  }
}
