import { destination, pino, type Logger } from 'pino'
import { redact } from './core/secrets.ts'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]
export type { Logger }

/** JSON lines on stderr, with every secret hidden. Messages are static; what varies stands in fields. */
export function createLogger(level: LogLevel): Logger {
  return pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    hooks: { streamWrite: redact },
  }, destination({ dest: 2, sync: true }))
}
