import { secret } from '../../core/fields.ts'
import { taint } from '../../core/secrets.ts'

/** Shorter parts of a URL are words of its path, and hiding them would make sentences unreadable. */
const SHORTEST_TOKEN = 16

function parse(text: string): URL | undefined {
  const url = URL.parse(text)
  return url && (url.protocol === 'https:' || url.protocol === 'http:') && url.host !== '' ? url : undefined
}

/** The URL of a robot, with the token in it: it arrives as a `Secret`, and the token is hidden where it stands alone too. */
export function secretUrl() {
  return secret()
    .refine((value) => parse(value.reveal()) !== undefined, 'expected a URL such as https://host/path')
    .transform((value) => {
      const url = parse(value.reveal())
      for (const part of url ? [...url.pathname.split('/'), ...url.searchParams.values()] : []) {
        if (part.length >= SHORTEST_TOKEN) taint(part)
      }
      return value
    })
}
