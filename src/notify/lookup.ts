import type { Alert } from './alert.ts'
import { readFindings, type Findings } from './findings.ts'
import { matches } from './matchers.ts'
import type { NotifyConfig } from './options.ts'
import type { FromForwarder, ProbeQuestion } from './protocol.ts'
import { get } from './wire.ts'

/** A message is sent without what is not known by then. */
const LONGEST_MS = 1_000
/** One that gives no answer is left alone for so long: in a storm every message would wait for it, and its name may hold up those of the chats. */
const REST_MS = 5_000
/** Where the target is, and where the prober: probes of one name may stand in several. */
const CLUSTERS = ['cluster', 'source_cluster'] as const

type Curlew = NotifyConfig['curlews'][number]

export interface Lookup {
  /** Which other Curlews to ask. */
  ask(curlews: readonly Curlew[]): void
  /** What the probe of an alert looks like now, from this Curlew or another one. Undefined after a second at the latest. */
  lookUp(alert: Alert): Promise<Findings | undefined>
  /** The answer to a line of kind `lookup`. */
  found(id: number, answer: unknown): void
}

/** Alerts about Curlew's probes carry the labels `probe` and `target`; all others are not asked about. */
export function createLookup(tell: (line: FromForwarder) => void): Lookup {
  let curlews: readonly Curlew[] = []
  let lastId = 0
  const open = new Map<number, (answer: unknown) => void>()
  /** Until when a Curlew that fails is left alone, by its URL. */
  const failing = new Map<string, number>()
  const underWay = new Map<string, Promise<Findings | undefined>>()

  function askHere(question: ProbeQuestion): Promise<unknown> {
    const id = ++lastId
    return new Promise((resolve) => {
      const timer = setTimeout(() => done(undefined), LONGEST_MS)
      const done = (answer: unknown) => {
        clearTimeout(timer)
        open.delete(id)
        resolve(answer)
      }
      open.set(id, done)
      tell({ kind: 'lookup', id, question })
    })
  }

  /** A wrong token would keep every message without its diagnosis, and nobody would know why. */
  async function ask(other: Curlew, question: ProbeQuestion): Promise<unknown> {
    const { url } = other
    if (performance.now() < (failing.get(url) ?? 0)) throw new Error('it does not answer')
    try {
      const answer = await askThere(other, question)
      if (failing.delete(url)) tell({ kind: 'log', level: 'info', message: 'another Curlew answers again', fields: { url } })
      return answer
    } catch (error) {
      if (!failing.has(url)) tell({ kind: 'log', level: 'warn', message: 'another Curlew cannot be asked: messages go without what it knows', fields: { url, error: error instanceof Error ? error.message : String(error) } })
      failing.set(url, performance.now() + REST_MS)
      throw error
    }
  }

  async function lookUp(question: ProbeQuestion, labels: Alert['labels']): Promise<Findings | undefined> {
    const others = curlews.filter(({ match }) => match.every((one) => matches(one, labels)))
    const owners = others.filter(namesCluster)
    const asked = [undefined, ...others].map(async (other) => {
      const findings = readFindings(await (other ? ask(other, question) : askHere(question)))
      const certainty = findings && agreement(findings, question)
      if (!findings || certainty === 'other') throw new Error('not known')
      return { findings, certain: certainty === 'same' || (other !== undefined && owners.includes(other)) }
    })
    const sure = await Promise.any(asked.map(async (one) => ((await one).certain ? one : Promise.reject(new Error('not sure'))))).catch(() => undefined)
    if (sure) return sure.findings
    // Nobody else's probe of the same name: a wrong diagnosis is worse than none.
    if (owners.length > 0) return undefined
    return (await Promise.allSettled(asked)).find((one) => one.status === 'fulfilled')?.value.findings
  }

  return {
    ask(others) {
      curlews = others
      failing.clear()
    },
    lookUp({ labels }) {
      const question = questionOf(labels)
      if (!question) return Promise.resolve(undefined)
      // All channels tell of an alert at the same time.
      const key = JSON.stringify(labels)
      const same = underWay.get(key)
      if (same) return same
      const asking = lookUp(question, labels).finally(() => underWay.delete(key))
      underWay.set(key, asking)
      return asking.then((findings) => {
        tell({ kind: 'looked_up', found: findings !== undefined })
        return findings
      })
    },
    found(id, answer) { open.get(id)?.(answer) },
  }
}

/** Prometheus renames what Curlew exports to `exported_…` where the scrape has a label of that name itself. */
function questionOf(labels: Alert['labels']): ProbeQuestion | undefined {
  const own = (name: string) => labels[`exported_${name}`] ?? labels[name]
  const probe = own('probe')
  if (!probe) return undefined
  const rest = Object.fromEntries(['target', ...CLUSTERS].flatMap((name) => {
    const value = own(name)
    return value === undefined || value === '' ? [] : [[name, value]]
  }))
  return { probe, ...rest }
}

/** Its `match` says whose alerts it is asked about. */
function namesCluster({ match }: Curlew): boolean {
  return match.flat().some(({ name }) => CLUSTERS.some((one) => name === one || name === `exported_${one}`))
}

/** Whether this is the probe that the alert is about. Clusters may be known to Prometheus alone: then nothing can be said. */
function agreement({ probe, target, labels }: Findings, question: ProbeQuestion): 'same' | 'perhaps' | 'other' {
  const asked = CLUSTERS.filter((name) => question[name] !== undefined)
  const told = asked.filter((name) => labels[name] !== undefined)
  if (probe !== question.probe || (question.target !== undefined && target !== question.target) || told.some((name) => labels[name] !== question[name])) return 'other'
  return asked.length === 0 || told.length > 0 ? 'same' : 'perhaps'
}

async function askThere({ url, token, ca_file: caFile }: Curlew, question: ProbeQuestion): Promise<unknown> {
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token.reveal()}` }
  // Its address comes from the config, not from an alert: it may be a private one.
  const { status, body } = await get(`${url.replace(/\/+$/, '')}/api/v1/diagnosis?${new URLSearchParams({ ...question }).toString()}`, headers, { timeoutMs: LONGEST_MS, allowPrivate: true, caFile })
  // It does not know the probe, or not one alone.
  if (status === 404 || status === 400) return undefined
  if (status !== 200) throw new Error(`it answers with status ${status}`)
  try {
    return JSON.parse(body)
  } catch {
    throw new Error('it answers with what is not JSON, or too long')
  }
}
