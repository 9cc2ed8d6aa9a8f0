import { parentPort } from 'node:worker_threads'
import { compareSync } from 'bcryptjs'

export interface Comparison {
  readonly password: string
  readonly hash: string
}

// A thread of its own: one comparison blocks it for 60 ms and more, which would spoil every measurement on the main one.
const port = parentPort
if (!port) throw new Error('bcrypt-worker is started as a worker thread only')
port.on('message', ({ password, hash }: Comparison) => port.postMessage(compareSync(password, hash)))
