import { parseArgs, type ParseArgsConfig } from 'node:util'

/** Exit codes: all ok; a target failed; bad usage or config; nothing failed but something is unknown; interrupted. */
export const EXIT = { ok: 0, failed: 1, usage: 2, unknown: 3, interrupted: 130 } as const

/** `1 route`, `2 routes`. */
export function counted(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? '' : 's'}`
}

/** Something that the person at the terminal can put right: printed without a stack trace, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** What every command gets; nothing but `cli.ts` touches the process. */
export interface Io {
  readonly env: NodeJS.ProcessEnv
  readonly color: boolean
  out(text: string): void
  err(text: string): void
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal
  /** Called on every SIGHUP. */
  onHangup(listener: () => void): void
}

/** `parseArgs`, strict, with its errors as UsageErrors. */
export function readArgs<const T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config)
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message.replace(/\. To specify a positional.*/s, '.') : String(error))
  }
}
