import type { Alert } from './alert.ts'
import { readFindings, type Findings } from './findings.ts'
import { matches } from './matchers.ts'
import type { NotifyConfig } from './options.ts'
import type { FromForwarder } from './protocol.ts'
import { get } from './wire.ts'

/** A message is sent without what is not known by then. */
const LONGEST_MS = 1_000

type Curlew = NotifyConfig['curlews'][number]

export interface Lookup {
  /** Which other Curlews to ask. */
  ask(curlews: readonly Curlew[]): void
  /** What the probe of an alert looks like now: from this Curlew, else from the first of the others that knows it. Undefined after a second at the latest. */
  lookUp(alert: Alert): Promise<Findings | undefined>
  /** The answer to a line of kind `lookup`. */
  found(id: number, answer: unknown): void
}

/** Alerts about Curlew's probes carry the labels `probe` and `target`; all others are not asked about. */
export function createLookup(tell: (line: FromForwarder) => void): Lookup {
  let curlews: readonly Curlew[] = []
  let lastId = 0
  const open = new Map<number, (answer: unknown) => void>()

  function askHere(probe: string, target: string | undefined): Promise<unknown> {
    const id = ++lastId
    return new Promise((resolve) => {
      const timer = setTimeout(() => done(undefined), LONGEST_MS)
      const done = (answer: unknown) => {
        clearTimeout(timer)
        open.delete(id)
        resolve(answer)
      }
      open.set(id, done)
      tell({ kind: 'lookup', id, probe, ...(target === undefined ? {} : { target }) })
    })
  }

  return {
    ask(others) { curlews = others },
    async lookUp({ labels }) {
      const { probe, target } = labels
      if (probe === undefined) return undefined
      const asked = [askHere(probe, target), ...curlews.filter(({ match }) => match.every((one) => matches(one, labels))).map((one) => askThere(one, probe, target))]
      const findings = await Promise.any(asked.map(async (answer) => readFindings(await answer) ?? Promise.reject(new Error('not known')))).catch(() => undefined)
      tell({ kind: 'looked_up', found: findings !== undefined })
      return findings
    },
    found(id, answer) { open.get(id)?.(answer) },
  }
}

async function askThere({ url, token, ca_file: caFile }: Curlew, probe: string, target: string | undefined): Promise<unknown> {
  const query = new URLSearchParams({ probe, ...(target === undefined ? {} : { target }) })
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token.reveal()}` }
  // Its address comes from the config, not from an alert: it may be a private one.
  const { status, body } = await get(`${url.replace(/\/+$/, '')}/api/v1/diagnosis?${query.toString()}`, headers, { timeoutMs: LONGEST_MS, allowPrivate: true, caFile })
  if (status !== 200) throw new Error(`status ${status}`)
  return JSON.parse(body)
}
