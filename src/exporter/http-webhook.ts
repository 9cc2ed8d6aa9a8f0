import type { Request, RequestHandler, Response } from 'express'
import type { HookAccess } from './http-gate.ts'
import { refuse } from './http-refuse.ts'

/** Where Alertmanager's notifications go. */
export interface Webhook {
  /** Whether a request with this Authorization header may post to the path of this route; undefined is the path of all of them. */
  access(route: string | undefined, authorization: string | undefined): HookAccess
  /** Keeps the body; whatever goes wrong is an answer. */
  receive(route: string | undefined, body: Buffer): Promise<{ readonly status: number, readonly text: string }>
  /** A request was answered with this status. */
  answered(status: number): void
}

const MOST_BODY_BYTES = 10 * 1024 * 1024
/** Of all bodies that are being read. */
const MOST_READING_BYTES = 64 * 1024 * 1024

/** The name of the route in /webhook/alertmanager/NAME. */
export function routeOf(request: Request): string | undefined {
  const { route } = request.params
  return typeof route === 'string' ? route : undefined
}

/** Reads a body and hands it over. Alertmanager comes again for a 5xx and for nothing else. */
export function createWebhook(webhook: () => Webhook | undefined): RequestHandler {
  let reading = 0
  return async (request, response) => {
    const hook = webhook()
    if (!hook) return refuse(request, response, 404, 'There is no section notify in the config.')
    if (request.headers['content-encoding'] !== undefined) return refuse(request, response, 400, 'Send the body as it is, not compressed.')
    const announced = Number(request.headers['content-length'] ?? 0)
    if (announced > MOST_BODY_BYTES) return tooLong(request, response)
    const chunks: Buffer[] = []
    let bytes = 0
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) { // safe: nobody has set an encoding
        bytes += chunk.length
        reading += chunk.length
        if (bytes > MOST_BODY_BYTES) return tooLong(request, response)
        if (reading > MOST_READING_BYTES) {
          response.set('Connection', 'close')
          return refuse(request, response, 503, 'Too many large requests at the same time: try again.')
        }
        chunks.push(chunk)
      }
    } catch {
      // Whoever sent it has gone in the middle: nobody waits for an answer.
      return
    } finally {
      reading -= bytes
    }
    const { status, text } = await hook.receive(routeOf(request), Buffer.concat(chunks))
    refuse(request, response, status, text)
  }
}

function tooLong(request: Request, response: Response): void {
  response.set('Connection', 'close')
  refuse(request, response, 413, `The body is longer than ${MOST_BODY_BYTES / 1024 / 1024} MB: set max_alerts in Alertmanager's webhook_configs.`)
}
