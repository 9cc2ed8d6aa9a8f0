import { posix } from 'node:path'
import { z } from 'zod'
import type { Target } from '../../core/probe.ts'

/** A file or directory of this machine, by its absolute path. */
export class PathTarget implements Target {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  toString(): string {
    return this.path
  }
}

/** An absolute path, or undefined. `..` is none: after a link it is not where it seems to be. */
export function parsePath(text: string): PathTarget | undefined {
  if (!text.startsWith('/') || /[\0\n]/.test(text) || /\/\.\.?(?:\/|$)/.test(text)) return undefined
  return new PathTarget(posix.resolve(text))
}

/** A target that is an absolute path. Only as text: nobody asks the file system, which may hang, where a link leads. */
export function absolutePath() {
  return z.string().transform((text, context) => {
    const target = parsePath(text)
    if (target) return target
    context.addIssue('expected an absolute path such as /data, without . and ..')
    return z.NEVER
  }).describe('absolute path')
}

/** The path of a URL such as `mount:///data`, decoded. Throws an Error with a sentence. */
export function pathOfUrl(url: URL): string {
  if (url.host !== '' || url.username !== '') throw new Error(`expected a path after three slashes: ${url.protocol}///data`)
  try {
    return decodeURIComponent(url.pathname)
  } catch {
    throw new Error('expected the path of the URL to be percent-encoded UTF-8')
  }
}
