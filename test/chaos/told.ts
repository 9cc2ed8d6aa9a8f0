import type { Taken } from '../notify/fakes/fake.ts'

/** One alert in one message that a fake has taken. */
export interface Telling {
  readonly id: string
  readonly status: 'firing' | 'resolved'
  /** Which of the fake's messages it stands in. */
  readonly message: number
}

const WORDS = /\b(Resolved|Critical|Warning|Info|Firing)\b|\b(c\d{5}-\d{2})\b/g

/**
 * The alerts of a message with what is said of each: the word that stands before its name. Whatever the dialect, the texts come
 * in the order in which a person reads them; where the title alone has the name, the word follows.
 */
export function alertsIn(body: unknown): { readonly id: string, readonly status: 'firing' | 'resolved' }[] {
  const found = new Map<string, 'firing' | 'resolved'>()
  const early = new Set<string>()
  let word: string | undefined
  for (const [, tone, id] of textsOf(body).join('\n').replaceAll('\\', '').matchAll(WORDS)) {
    if (tone !== undefined) word = tone
    if (id !== undefined && word !== undefined) found.set(id, word === 'Resolved' ? 'resolved' : 'firing')
    else if (id !== undefined) early.add(id)
  }
  for (const id of early) if (!found.has(id)) found.set(id, word === 'Resolved' ? 'resolved' : 'firing')
  return Array.from(found, ([id, status]) => ({ id, status }))
}

function textsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  if (Array.isArray(value)) return value.flatMap(textsOf)
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsOf) : []
}

export function tellings(messages: readonly Taken[]): Telling[] {
  return messages.flatMap(({ body }, message) => alertsIn(body).map((one) => ({ ...one, message })))
}

/**
 * What was told twice without cause. One message may be told again for each answer that was lost: the fake lost it, or a kill
 * (ms since 1970) came between the fake's taking it and the outbox's writing that down, or the machine stood still, so that the
 * answer came too late. Each explains one message, as one is under way at a time.
 */
export function unexplainedRepeats(messages: readonly Taken[], kills: readonly number[]): string[] {
  const left = [...kills]
  const explained = new Set<number>()
  const explain = (index: number): boolean => {
    const message = messages[index]
    if (!message || explained.has(index)) return false
    if (!message.answerLost) {
      // The process that sends outlives the one that is killed by half a second; writing down takes milliseconds. Wider, the
      // kills of the short form would explain whatever happens in between.
      const kill = left.findIndex((at) => at > message.at - 800 && at < (message.answeredAt ?? message.at) + 300)
      if (kill < 0) return false
      left.splice(kill, 1)
    }
    explained.add(index)
    return true
  }
  const before = new Map<string, number>()
  const repeatedBy = new Map<number, number>()
  return tellings(messages).flatMap(({ id, status, message }) => {
    const key = `${id} ${status}`
    const earlier = before.get(key)
    before.set(key, message)
    if (earlier === undefined) return []
    // All alerts of a message are repeated together, by one message.
    if (repeatedBy.get(earlier) === message) return []
    if (repeatedBy.has(earlier) || !explain(earlier)) return [`${key} in messages ${earlier} and ${message}`]
    repeatedBy.set(earlier, message)
    return []
  })
}

/** Alerts of which a firing was told after their end. */
export function disorders(messages: readonly Taken[]): string[] {
  const over = new Set<string>()
  const wrong: string[] = []
  for (const { id, status } of tellings(messages)) {
    if (status === 'resolved') over.add(id)
    else if (over.has(id)) wrong.push(id)
  }
  return wrong
}
