import { parentPort } from 'node:worker_threads'
import { openPkcs12 } from './cert-pkcs12-open.ts'

export interface Pkcs12Question {
  readonly bytes: Uint8Array
  readonly password: string | undefined
}

// A thread of its own: deriving the keys of one keystore takes from 30 ms to seconds, which would spoil every measurement.
const port = parentPort
if (!port) throw new Error('cert-pkcs12-worker is started as a worker thread only')
port.on('message', ({ bytes, password }: Pkcs12Question) => port.postMessage(openPkcs12(bytes, password)))
