import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { startProcess, type Running } from './process.ts'

/** Of the checkout, which runs the sources, or of what `built.ts` has made of them. */
const LAUNCHER = join(process.env['CURLEW_TEST_BUILT'] ?? join(import.meta.dirname, '..', '..'), 'bin', 'curlew.js')

/** The environment without anything that would change what Curlew does. */
function cleanEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR, CURLEW_TEST_RUN } = process.env
  // Started a thousand times: what is compiled once need not be again.
  const NODE_COMPILE_CACHE = join(CURLEW_TEST_RUN ?? '', 'compiled')
  return { PATH, HOME, TMPDIR, CURLEW_TEST_RUN, NODE_COMPILE_CACHE, LANG: 'C.UTF-8', ...env }
}

export interface Ran {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command to its end, as a person would; `interrupt` sends it a signal once stderr or stdout matches, `meanwhile` is given its process. */
export function runCurlew(
  args: readonly string[],
  { env = {}, cwd, wrap = [], interrupt, meanwhile }:
  { env?: NodeJS.ProcessEnv, cwd?: string, wrap?: readonly string[], interrupt?: { when: RegExp, signal: NodeJS.Signals }, meanwhile?: (pid: number) => Promise<unknown> } = {},
): Promise<Ran> {
  const [command = process.execPath, ...rest] = [...wrap, process.execPath, LAUNCHER, ...args]
  return new Promise((resolve, reject) => {
    const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: cleanEnv(env), ...(cwd === undefined ? {} : { cwd }) })
    const hard = setTimeout(() => child.kill('SIGKILL'), 25_000)
    let stdout = ''
    let stderr = ''
    const look = () => { if (interrupt?.when.test(stdout + stderr)) child.kill(interrupt.signal) }
    child.stdout.on('data', (chunk: Buffer) => { stdout += chunk.toString(); look() })
    child.stderr.on('data', (chunk: Buffer) => { stderr += chunk.toString(); look() })
    child.on('error', reject)
    const beside = child.pid === undefined ? undefined : meanwhile?.(child.pid)
    beside?.catch(reject)
    child.on('close', (code, signal) => {
      clearTimeout(hard)
      resolve({ code, signal, stdout, stderr })
    })
  })
}

export interface Served extends Running {
  /** Such as `http://127.0.0.1:34567`. */
  readonly url: string
  /** The samples of /metrics whose line matches. */
  samples(pattern: RegExp): Promise<string[]>
  /** The value of one sample, by the beginning of its line; undefined when it is not there. */
  value(series: string): Promise<number | undefined>
  get(path: string, init?: RequestInit): Promise<{ status: number, text: string, headers: Headers }>
}

/** Starts `curlew serve`, or another command that serves, on a free port of 127.0.0.1 and waits until it is ready. */
export async function serveCurlew(
  args: readonly string[],
  { env = {}, cwd, wrap = [], serve = ['serve'] }: { env?: NodeJS.ProcessEnv, cwd?: string, wrap?: readonly string[], serve?: readonly string[] } = {},
): Promise<Served> {
  const [command = process.execPath, ...rest] = [...wrap, process.execPath, LAUNCHER, ...serve, '--web.listen-address', '127.0.0.1:0', ...args]
  const address = /"address":"(https?:\/\/[^"]+)"/
  const running = await startProcess(command, rest, {
    env: cleanEnv(env), withinMs: 30_000, ...(cwd === undefined ? {} : { cwd }),
    ready: (output) => address.test(output),
  })
  const url = address.exec(running.output())?.[1] ?? ''
  const get = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(5_000), redirect: 'manual', ...init })
    return { status: response.status, text: await response.text(), headers: response.headers }
  }
  const samples = async (pattern: RegExp) => (await get('/metrics')).text.split('\n').filter((line) => !line.startsWith('#') && pattern.test(line))
  return {
    ...running, url, get, samples,
    async value(series) {
      const line = (await samples(/./)).find((sample) => sample.startsWith(`${series}`))
      return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ') + 1))
    },
  }
}
