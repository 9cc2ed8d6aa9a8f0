import { stampOf } from './http-files.ts'
import { readWebConfig, type ReadWebConfig, type WebConfig } from './web-config.ts'

export interface WebConfigWatch {
  /** The config as the files say now, or undefined when they cannot be used: then nobody may be let in. */
  current(): WebConfig | undefined
}

/** What the person who starts Curlew can mend: shown as it is, without a stack trace. */
export class StartError extends Error {
  override readonly name = 'ConfigError'
}

const CHECK_EVERY_MS = 1_000

/**
 * Watches a web-config file and all that it names. The files are looked at when somebody asks, at most once a second, and
 * read again when one has changed. A certificate that has become unusable while the file itself is the same leaves the
 * last good one in place, because a renewal writes certificate and key one after the other. Throws a StartError when the
 * files are bad at the start, with one line a mistake.
 */
export function watchWebConfig(file: string, log: (level: 'info' | 'error', message: string, fields?: Record<string, unknown>) => void): WebConfigWatch {
  let last = readWebConfig(file)
  const problems = [...last.issues, ...last.certificateIssues]
  if (problems.length > 0) throw new StartError(problems.join('\n'))
  let good: ReadWebConfig | undefined = last
  let usable: WebConfig | undefined = last.config
  let checkedAt = performance.now()

  return {
    current() {
      const now = performance.now()
      if (now - checkedAt < CHECK_EVERY_MS) return usable
      checkedAt = now
      if (last.stamps.entries().every(([path, stamp]) => stampOf(path) === stamp)) return usable
      last = readWebConfig(file)
      const { issues, certificateIssues, text, config } = last
      if (issues.length === 0 && certificateIssues.length === 0) {
        good = last
        usable = config
        log('info', 'the web-config file or a file that it names has changed and was read again')
      } else if (issues.length === 0 && good?.text === text) {
        usable = { ...config, tls: good.config.tls }
        log('error', 'a certificate of the web-config file cannot be used; the last good one stays', { problems: certificateIssues })
      } else {
        usable = undefined
        log('error', 'the web-config file cannot be used: only /-/healthy and /-/ready are answered until it is mended', { problems: [...issues, ...certificateIssues] })
      }
      return usable
    },
  }
}
