import { Worker } from 'node:worker_threads'
import { ProbeFailure } from '../../core/probe.ts'
import type { Pkcs12 } from './cert-pkcs12-open.ts'
import { FileProblem } from './cert-codes.ts'
import type { Keystore } from './cert-jks.ts'

/** Reads PKCS#12 files on a thread that is started for the first and ends with the run. */
export interface Pkcs12Reader {
  /** One at a time. Throws FileProblem; ProbeFailure('prober_starved') when there is no time left. */
  read(bytes: Buffer, password: string | undefined): Promise<Keystore>
  close(): void
}

/** Kept back from the run's time, to say what took it. */
const MARGIN_MS = 30
/** A file of 1 MB, as ASN.1 in memory, decrypted and parsed again. */
const MOST_MEMORY_MB = 256

const CODES = { password: 'cert_password', broken: 'cert_no_certificate', unsupported: 'cert_unsupported' } as const

export function pkcs12Reader({ deadline }: { readonly deadline: number }): Pkcs12Reader {
  let worker: Worker | undefined
  return {
    async read(bytes, password) {
      worker ??= start()
      const { certificates, problem } = await ask(worker, { bytes, password }, deadline - MARGIN_MS)
      return {
        kept: certificates.map(({ alias, der }) => ({ alias, der: Buffer.from(der) })),
        problems: problem ? [new FileProblem(CODES[problem.kind], problem.message)] : [],
      }
    },
    close() {
      // It resolves when the thread is gone, which nobody waits for.
      void worker?.terminate()
      worker = undefined
    },
  }
}

/** Beside this file in a checkout (.ts), beside the bundle when published (.js). */
function start(): Worker {
  const url = new URL(import.meta.url.endsWith('.ts') ? './cert-pkcs12-worker.ts' : './cert-pkcs12-worker.js', import.meta.url)
  const worker = new Worker(url, { env: {}, resourceLimits: { maxOldGenerationSizeMb: MOST_MEMORY_MB } })
  worker.unref()
  return worker
}

function ask(worker: Worker, question: { readonly bytes: Buffer, readonly password: string | undefined }, until: number): Promise<Pkcs12> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void) => {
      clearTimeout(timer)
      worker.off('message', onMessage).off('error', onError)
      end()
    }
    const onMessage = (answer: Pkcs12) => settle(() => resolve(answer))
    const onError = (error: unknown) => settle(() => reject(new ProbeFailure('prober_worker_lost', `the thread that opens keystores ended: ${error instanceof Error ? error.message : String(error)}`)))
    const timer = setTimeout(() => settle(() => reject(new ProbeFailure('prober_starved', 'a keystore could not be opened in time'))), Math.max(0, until - performance.now()))
    worker.on('message', onMessage).on('error', onError)
    worker.postMessage(question)
  })
}
