import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { z } from 'zod'

/** One answer of the delaying server: the address of 127/8 that was asked, when (Unix time, ms), and how long it took. */
export interface Delay {
  readonly address: string
  readonly at: number
  readonly ms: number
}

const said = z.union([
  z.object({ port: z.number() }),
  z.object({ delays: z.array(z.object({ address: z.string(), at: z.number(), ms: z.number() })) }),
])

/** Addresses of loopback, each of which is a target of its own. */
export function addresses(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `127.1.${Math.floor(index / 250)}.${index % 250 + 1}`)
}

export interface TargetServer {
  readonly port: number
  /** What the delaying server has answered since it was asked last. */
  delays(): Promise<readonly Delay[]>
  stop(): void
}

/** Starts one of `target-server.ts`, on every address of this network. */
export async function startTarget(kind: 'tcp' | 'http' | 'tls' | 'dns' | 'delay' | 'chat', ...args: readonly string[]): Promise<TargetServer> {
  const child = fork(join(import.meta.dirname, 'target-server.ts'), [kind, ...args], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const first = await nextMessage(child)
  if (!('port' in first)) throw new Error(`the ${kind} server did not say its port`)
  return {
    port: first.port,
    async delays() {
      child.send('report')
      const report = await nextMessage(child)
      return 'delays' in report ? report.delays : []
    },
    stop: () => { child.kill('SIGKILL') },
  }
}

async function nextMessage(child: ChildProcess): Promise<z.output<typeof said>> {
  return said.parse(await answerOf(child))
}

/** The next message of a process. Rejects when it ends before it has said anything. */
export async function answerOf(child: ChildProcess): Promise<unknown> {
  const over = new AbortController()
  try {
    const heard: readonly unknown[] = await Promise.race([
      once(child, 'message', over),
      once(child, 'exit', over).then(() => { throw new Error(`${child.spawnargs.at(-1)} ended`) }),
    ])
    return heard[0]
  } finally {
    over.abort()
  }
}
