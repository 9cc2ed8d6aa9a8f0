import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A TCP port on 127.0.0.1 that nobody listens on right now; also free for UDP as a rule. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

const directories = new Set<string>()
const children = new Set<ChildProcess>()

// Whatever happens to the test run, nothing that it started stays behind.
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})

/** A new temporary directory, removed by `remove()` or when the test process ends. */
export function temporaryDirectory(): { path: string, remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'curlew-test-'))
  directories.add(path)
  return {
    path,
    remove() {
      directories.delete(path)
      rmSync(path, { recursive: true, force: true })
    },
  }
}

export interface Running {
  readonly child: ChildProcess
  readonly pid: number
  /** Everything it has printed so far, both streams. */
  output(): string
  /** Ends it (SIGTERM, after 2 s SIGKILL) and waits until it is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** Starts a server and waits until `ready` is true; throws with its output when it ends or takes longer than `withinMs`. */
export async function startProcess(
  command: string, args: readonly string[],
  { ready, withinMs = 10_000, env, cwd }: { ready: (output: string) => Promise<boolean> | boolean, withinMs?: number, env?: NodeJS.ProcessEnv, cwd?: string },
): Promise<Running> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: env ?? process.env, ...(cwd === undefined ? {} : { cwd }) })
  children.add(child)
  let output = ''
  let failed: Error | undefined
  child.on('error', (error) => { failed = error })
  child.stdout.on('data', (chunk: Buffer) => { output += chunk.toString() })
  child.stderr.on('data', (chunk: Buffer) => { output += chunk.toString() })
  const gone = new Promise<void>((resolve) => child.once('close', () => { children.delete(child); resolve() }))

  const running: Running = {
    child,
    pid: child.pid ?? -1,
    output: () => output,
    async stop(signal = 'SIGTERM') {
      if (child.pid === undefined) return
      child.kill('SIGCONT')
      child.kill(signal)
      const hard = setTimeout(() => child.kill('SIGKILL'), 2_000)
      await gone
      clearTimeout(hard)
    },
  }
  const until = Date.now() + withinMs
  while (Date.now() < until) {
    if (failed) throw new Error(`${command} could not be started (${failed.message}); npm run test:install installs it`)
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${command} ended at once:\n${output}`)
    if (await ready(output)) return running
    await sleep(20)
  }
  await running.stop('SIGKILL')
  throw new Error(`${command} was not ready within ${withinMs} ms:\n${output}`)
}

/** Polls until `check` returns something true; throws after `withinMs`. */
export async function eventually<T>(check: () => Promise<T> | T, withinMs = 8_000, what = 'the condition'): Promise<T & {}> {
  const until = Date.now() + withinMs
  let last: unknown
  for (;;) {
    try {
      const value = await check()
      if (value) return value
      last = value
    } catch (error) {
      last = error
    }
    if (Date.now() > until) throw new Error(`${what} did not come true within ${withinMs} ms; last: ${last instanceof Error ? last.message : JSON.stringify(last)}`)
    await sleep(20)
  }
}
