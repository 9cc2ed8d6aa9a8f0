import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { Socket } from 'node:net'
import { ProbeFailure } from './core/probe.ts'

/** Children at a time, those that hang included. */
const MOST_CHILDREN = 64
/** How much of what a child complains about is kept, in characters. */
const COMPLAINT = 2_000

export interface Child {
  readonly pid: number
  readonly process: ChildProcessWithoutNullStreams
  /** Set while it hangs in a call that nobody can end: it counts as stuck. */
  stuck: boolean
  /** The last that it wrote to stderr. */
  complaint(): string
}

const children = new Set<Child>()

/** Where other than that of our own helpers. */
export interface Surroundings {
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
}

/**
 * Starts a helper process. It has pipes and no secrets in its environment unless it is given one, keeps nothing of ours alive, and is killed when
 * this process ends, unless it hangs; it must end by itself when its standard input does, for that case and when we are killed. Nobody may wait
 * for its end without a deadline: one that hangs in the kernel outlives even SIGKILL.
 * Throws ProbeFailure('prober_children') at the limit, and what `spawn` throws.
 */
export function startChild(command: string, args: readonly string[], onGone: (why: string) => void, { env = { PATH: process.env['PATH'] }, cwd = '/' }: Surroundings = {}): Child {
  if (children.size >= MOST_CHILDREN) throw new ProbeFailure('prober_children', `${children.size} helper processes run already`)
  // Away from the mounts that are probed, and from the terminal: an interrupt is for us to handle.
  const started = spawn(command, args, { cwd, env, stdio: 'pipe', detached: true })
  // Without a file to spare Node makes no pipes at all, and the error that it reports later says no more than this.
  if (!(started.stdin as unknown)) { // safe: its type knows the pipes only
    started.once('error', () => {})
    throw Object.assign(new Error('no file descriptors are left for a helper process'), { code: 'EMFILE' })
  }
  let complaint = ''
  const child: Child = { pid: started.pid ?? -1, process: started, stuck: false, complaint: () => complaint }
  if (children.size === 0) process.once('exit', killAll)
  children.add(child)
  const gone = (why: string) => {
    if (!children.delete(child)) return
    if (children.size === 0) process.off('exit', killAll)
    onGone(why)
  }
  started.once('error', (error) => gone(error.message))
  started.once('exit', (code, signal) => gone(`it ended with ${signal ?? code}`))
  // What cannot be written to or read from a child that has ended is nobody's loss: its end is reported.
  for (const stream of [started.stdin, started.stdout, started.stderr]) stream.on('error', () => {})
  started.stderr.on('data', (chunk: Buffer) => { complaint = (complaint + chunk.toString()).slice(-COMPLAINT) })
  started.unref()
  for (const stream of [started.stdin, started.stdout, started.stderr]) if (stream instanceof Socket) stream.unref()
  return child
}

/** How many children hang. */
export function stuckChildren(): number {
  return [...children].filter(({ stuck }) => stuck).length
}

/** Kills a child and all that it has started. */
export function killChild({ pid, process: started }: Child): void {
  try {
    // It leads a group of its own.
    if (pid > 0) process.kill(-pid, 'SIGKILL')
  } catch {
    started.kill('SIGKILL')
  }
}

/** One that hangs would not end for it either: it would be past every signal, holding its locks, and leave its file behind. */
function killAll(): void {
  for (const child of children) if (!child.stuck) killChild(child)
}
