import type { Listen, MeshConfig } from './options.ts'
import { startResponder, type MeshCount, type Responder } from './responder.ts'

/** A port that cannot be had now is tried again: an agent that is about to end may still hold it. */
const AGAIN_MS = 10_000

export interface Mesh {
  /** Listens where the config says, from now on; undefined ends it. Never rejects: probes go on whatever becomes of this. */
  configure(config: MeshConfig | undefined): Promise<void>
  /** Ends the connections that are open, too. */
  stop(): Promise<void>
}

/** What answers the agents of other nodes, moved by reloads. `onTrouble` is given a sentence, once for each address. */
export function createMesh({ count, onTrouble, onListening }: {
  readonly count: MeshCount
  readonly onTrouble: (sentence: string) => void
  readonly onListening: (address: string) => void
}): Mesh {
  let responder: Responder | undefined
  let wanted: string | undefined
  let again: NodeJS.Timeout | undefined
  let last: Promise<void> = Promise.resolve()

  const attempt = async (listen: Listen, isFirst: boolean): Promise<void> => {
    try {
      responder = await startResponder(listen, count)
      onListening(text(listen))
    } catch (error) {
      if (isFirst) onTrouble(sentence(listen, error))
      again = setTimeout(() => {
        void next(() => (wanted === text(listen) ? attempt(listen, false) : undefined)) // never rejects
      }, AGAIN_MS).unref()
    }
  }
  /** One change after the other. */
  const next = (change: () => Promise<void> | undefined): Promise<void> => {
    last = last.then(change)
    return last
  }
  const move = async (listen: Listen | undefined): Promise<void> => {
    const to = listen && text(listen)
    if (to === wanted) return
    wanted = to
    clearTimeout(again)
    const old = responder
    responder = undefined
    await old?.close()
    if (listen) await attempt(listen, true)
  }
  return {
    configure: (config) => next(() => move(config?.listen)),
    stop: () => next(() => move(undefined)),
  }
}

function text({ host = '', port }: Listen): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

const WHY: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there', EACCES: 'ports below 1024 need a privilege', EADDRNOTAVAIL: 'this machine does not have the address',
}

function sentence(listen: Listen, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return `mesh.listen: cannot listen on ${text(listen)}: ${WHY[code] ?? (error instanceof Error ? error.message : String(error))}; it is tried again every ${AGAIN_MS / 1_000} s`
}
