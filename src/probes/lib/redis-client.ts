import type { Duplex } from 'node:stream'
import type { Socket } from 'node:net'
import { AbstractConnector, Redis } from 'ioredis'
import { ProbeFailure } from '../../core/probe.ts'
import { redisError } from './redis-codes.ts'
import { guard } from './redis-wire.ts'

/** What a RESP2 reply can be once ioredis has read it. */
export type Reply = string | number | null | readonly Reply[]

export interface RedisClient {
  /**
   * Sends one command and returns its reply. Throws a `ProbeFailure` for an error that the server sent, the error of the
   * socket when the connection broke. One at a time: on a connection that the server closes with an error line, a
   * second write would fail with EPIPE before the line is read.
   */
  call(command: string, ...args: readonly (string | number)[]): Promise<Reply>
  /** Ends the connection at once, with every timer of the library. */
  close(): void
}

/**
 * An ioredis client on a connected socket (TLS or not), with nothing sent yet: no HELLO, AUTH, SELECT, CLIENT or INFO of
 * the library's own, no queue, no retries, no reconnect. From here on the socket belongs to the client. `explain` turns an
 * error of the socket into what it means: TLS 1.3 refuses a client only after the handshake.
 */
export async function openRedis(socket: Socket, explain: (error: Error) => Error = (error) => error): Promise<RedisClient> {
  const stream = guard(socket)
  let broken: Error | undefined
  stream.on('error', (error) => { broken ??= explain(error) })
  const redis = new Redis({
    Connector: connectorTo(stream),
    lazyConnect: true,
    enableReadyCheck: false,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    retryStrategy: null,
    // RESP2 without CLIENT SETINFO: nothing but what the probe sends needs a permission.
    protocol: 2,
    disableClientInfo: true,
    noDelay: false,
  })
  // The cause of a broken connection comes through `broken`; without a listener the library prints it.
  redis.on('error', () => {})
  const cause = (error: unknown): unknown => {
    if (error instanceof Error && error.name === 'ReplyError') return redisError(error.message)
    return broken ?? error
  }
  try {
    await redis.connect()
  } catch (error) {
    stream.destroy()
    throw cause(error)
  }
  return {
    async call(command, ...args) {
      try {
        return readable(await redis.call(command, ...args))
      } catch (error) {
        throw cause(error)
      }
    },
    close() {
      redis.disconnect()
      stream.destroy()
    },
  }
}

/** The replies that the guard lets through are RESP2; an error inside an array is its text. */
function readable(reply: unknown): Reply {
  if (reply === null || typeof reply === 'string' || typeof reply === 'number') return reply
  if (Array.isArray(reply)) return reply.map(readable)
  if (reply instanceof Error) return reply.message
  throw new ProbeFailure('redis_protocol', `unexpected reply of type ${typeof reply}`)
}

function connectorTo(stream: Duplex) {
  return class extends AbstractConnector {
    constructor() {
      super(0)
    }

    override connect() {
      // safe: beside the methods of every Duplex ioredis calls this one only (and setNoDelay, which is off)
      return Promise.resolve(Object.assign(stream, { setKeepAlive: () => stream }) as unknown as Socket)
    }

    /** The library's own would wait for a graceful end on a timer. */
    override disconnect() {
      stream.destroy()
    }
  }
}
