import { severityRank } from '../../../src/notify/alert.ts'
import { EntriesChanged, LeaseLost, OutboxFull, type Outbox, type OutboxOptions, type DeadEntry, type Entry, type Message } from '../../../src/notify/outbox.ts'

type Waiting = Entry & { place: number, message?: number }
interface State { status: string, reminder: boolean, at: number }

/** The rules of the interface, once more and as plainly as can be: what the property tests compare the stores with. */
export function modelOutbox(options: OutboxOptions): Outbox {
  let entries: Waiting[] = []
  let dead: DeadEntry[] = []
  let messages: Omit<Message, 'entries'>[] = []
  let sends: { robot: string, at: number }[] = []
  let states = new Map<string, State>()
  const memory = new Map<string, string>()
  const pauses = new Map<string, number>()
  const leases = new Map<string, { fence: number, expiresAt: number }>()
  let last = 0

  const byPlace = (a: Waiting, b: Waiting) => a.place - b.place
  const plain = ({ place: _place, message: _message, ...entry }: Waiting): Entry => entry
  const rank = ({ alert }: Entry) => severityRank(alert.labels)
  const inside = (message: number) => entries.filter((entry) => entry.message === message).sort(byPlace)
  const full = (message: Omit<Message, 'entries'>): Message => ({ ...message, entries: inside(message.id).map(plain) })
  const check = ({ channel, fence }: { channel: string, fence: number }, now = -Infinity) => {
    const lease = leases.get(channel)
    if (lease?.fence !== fence || lease.expiresAt <= now) throw new LeaseLost('lost')
    return lease
  }
  const oldestDead = () => dead.toSorted((a, b) => a.diedAt - b.diedAt || a.id - b.id)
  const room = (robot: string, rates: readonly { messages: number, perMs: number }[], now: number) => {
    let waitMs = Math.max(0, (pauses.get(robot) ?? 0) - now)
    let left = Number.MAX_SAFE_INTEGER
    for (const { messages: most, perMs } of rates) {
      const window = sends.filter((send) => send.robot === robot && Math.abs(send.at - now) < perMs).map(({ at }) => at).sort((a, b) => b - a)
      const blocking = window[most - 1]
      if (blocking !== undefined) waitMs = Math.max(waitMs, blocking + perMs - now)
      left = Math.min(left, most - 1 - window.length)
    }
    return { waitMs, left: waitMs > 0 ? 0 : left }
  }
  const requeue = ({ reason: _r, detail: _d, diedAt: _t, handedTo: _h, fallbackFor, ...entry }: DeadEntry, channel: string, now: number) => {
    const meant = fallbackFor ?? entry.channel
    last += 1
    entries.push({ ...entry, id: last, place: last, channel, receivedAt: now, ...(meant === channel ? {} : { fallbackFor: meant }) })
  }

  const outbox: Outbox = {
    async accept(incoming, now) {
      const before = { entries, dead, states }
      entries = [...entries]
      states = new Map(states)
      const counts = { queued: 0, duplicates: 0, merged: 0 }
      const told = new Map<string, boolean[][]>()
      for (const { route, channel, context, alerts } of incoming) {
        // What this route's acceptance has decided already for another channel.
        const rounds = told.get(`${route} ${channel}`) ?? []
        told.set(`${route} ${channel}`, rounds)
        const sibling = [...told].find(([key, other]) => key.startsWith(`${route} `) && other !== rounds && other.length > rounds.length)?.[1][rounds.length]
        const decisions = alerts.map(({ fingerprint, status }, index) => {
          const known = sibling?.[index]
          if (known !== undefined) return known
          const key = `${route} ${fingerprint}`
          const state = states.get(key)
          const reminder = context.reason === 'repeat interval elapsed'
          const duplicate = state !== undefined && state.status === status && Math.abs(now - state.at) < options.dedupMs && !(reminder && !state.reminder)
          if (!duplicate) states.set(key, { status, reminder, at: now })
          return !duplicate
        })
        rounds.push(decisions)
        let notification: number | undefined
        for (const [index, alert] of alerts.entries()) {
          if (!decisions[index]) {
            counts.duplicates += 1
            continue
          }
          const newest = entries.filter((entry) => entry.route === route && entry.channel === channel && entry.alert.fingerprint === alert.fingerprint).sort(byPlace).at(-1)
          const merges = newest !== undefined && newest.message === undefined && !(alert.status === 'firing' && newest.alert.status === 'resolved')
          last += 1
          notification ??= last
          const fresh: Waiting = { id: last, place: last, notification, route, channel, alert, context, receivedAt: now, untold: false }
          if (merges) {
            entries = entries.filter((entry) => entry !== newest)
            entries.push({
              ...fresh, place: newest.place, receivedAt: newest.receivedAt, untold: alert.status === 'resolved' && (newest.untold || newest.alert.status === 'firing'),
              ...(newest.fallbackFor === undefined ? {} : { fallbackFor: newest.fallbackFor }),
            })
            counts.merged += 1
          } else {
            entries.push(fresh)
            counts.queued += 1
          }
        }
      }
      const excess = entries.length + dead.length - options.entries
      if (counts.queued > 0 && excess > 0) {
        if (excess > dead.length) {
          ({ entries, dead, states } = before)
          throw new OutboxFull('full')
        }
        const dropped = new Set(oldestDead().slice(0, excess))
        dead = dead.filter((entry) => !dropped.has(entry))
      }
      return counts
    },
    async lease(channel, ms, now) {
      const lease = leases.get(channel)
      if (lease && lease.expiresAt > now) return undefined
      const fence = (lease?.fence ?? 0) + 1
      leases.set(channel, { fence, expiresAt: now + ms })
      return { channel, fence }
    },
    async renew(lease, ms, now) { check(lease).expiresAt = now + ms },
    async release({ channel, fence }) {
      if (leases.get(channel)?.fence === fence) leases.set(channel, { fence: fence + 1, expiresAt: -Infinity })
    },
    async queued(channel, order, most) {
      const free = entries.filter((entry) => entry.channel === channel && entry.message === undefined)
        .filter((entry) => !entries.some((other) => other.channel === channel && other.alert.fingerprint === entry.alert.fingerprint && other.message !== undefined && other.place < entry.place))
      return free.sort((a, b) => (order === 'severity' ? rank(a) - rank(b) : 0) || byPlace(a, b)).slice(0, most).map(plain)
    },
    async waiting(channel) {
      const free = entries.filter((entry) => entry.channel === channel && entry.message === undefined)
      return { entries: free.length, notifications: new Set(free.map(({ notification }) => notification)).size }
    },
    async messages(channel) { return messages.filter((message) => message.channel === channel).map(full) },
    async freeze(lease, ids, parts, digest, now) {
      check(lease)
      const chosen = entries.filter((entry) => ids.includes(entry.id) && entry.channel === lease.channel && entry.message === undefined)
      if (chosen.length !== ids.length) throw new EntriesChanged('changed')
      last += 1
      for (const entry of chosen) entry.message = last
      messages.push({ id: last, channel: lease.channel, parts, sent: 0, attempts: 0, nextAt: now, digest })
      return full(messages.at(-1)!)
    },
    async take(lease, robot, rates, now) {
      check(lease, now)
      const answer = room(robot, rates, now)
      if (answer.waitMs === 0) sends.push({ robot, at: now })
      return answer
    },
    async room(robot, rates, now) { return room(robot, rates, now) },
    async pause(robot, until) { pauses.set(robot, Math.max(until, pauses.get(robot) ?? 0)) },
    async partSent(lease, id, now, sent) {
      check(lease)
      messages = messages.flatMap((message) => {
        if (message.id !== id) return [message]
        const taken = Math.max(message.sent, sent ?? message.sent + 1)
        if (taken < message.parts.length) return [{ ...message, sent: taken, attempts: 0, nextAt: now }]
        entries = entries.filter((entry) => entry.message !== id)
        return []
      })
    },
    async postpone(lease, id, nextAt) {
      check(lease)
      messages = messages.map((message) => message.id === id ? { ...message, attempts: message.attempts + 1, nextAt } : message)
    },
    async thaw(lease, id, told) {
      check(lease)
      if (!messages.some((message) => message.id === id && (told !== undefined || message.sent === 0) && message.channel === lease.channel)) return
      entries = entries.filter((entry) => entry.message !== id || !told?.includes(entry.id))
      for (const entry of inside(id)) delete entry.message
      messages = messages.filter((message) => message.id !== id)
    },
    async giveUp(lease, ids, { reason, detail, handTo }, now) {
      check(lease)
      for (const id of ids) {
        const entry = entries.find((candidate) => candidate.id === id && candidate.channel === lease.channel)
        if (!entry) continue
        entries = entries.filter((other) => other !== entry)
        const { message } = entry
        if (message !== undefined) {
          for (const other of inside(message)) delete other.message
          messages = messages.filter((other) => other.id !== message)
        }
        const buried: DeadEntry = { ...plain(entry), reason, detail, diedAt: now, ...(handTo === undefined ? {} : { handedTo: handTo }) }
        dead.push(buried)
        if (handTo !== undefined) requeue(buried, handTo, now)
      }
      const dropped = new Set(oldestDead().slice(0, Math.max(0, entries.length + dead.length - options.entries)))
      dead = dead.filter((entry) => !dropped.has(entry))
    },
    async depths() {
      const channels = [...new Set([...entries, ...dead].map(({ channel }) => channel))].sort()
      return channels.map((channel) => {
        const waiting = entries.filter((entry) => entry.channel === channel).sort(byPlace)
        return { channel, waiting: waiting.length, dead: dead.filter((entry) => entry.channel === channel).length, ...(waiting[0] ? { oldestAt: waiting[0].receivedAt } : {}) }
      })
    },
    async dead({ channel, after = 0, most }) {
      return dead.filter((entry) => (channel === undefined || entry.channel === channel) && entry.id > after).sort((a, b) => a.id - b.id).slice(0, most)
    },
    async resend(ids, channel, now) {
      const found = ids.flatMap((id) => dead.filter((entry) => entry.id === id))
      for (const entry of found) {
        dead = dead.filter((other) => other !== entry)
        requeue(entry, channel ?? entry.channel, now)
      }
      return found.length
    },
    async forget(ids) {
      const before = dead.length
      dead = dead.filter(({ id }) => !ids.includes(id))
      return before - dead.length
    },
    recall: (name) => Promise.resolve(memory.get(name)),
    async remember(name, value) { memory.set(name, value) },
    async sweep(now) {
      dead = dead.filter(({ diedAt }) => diedAt > now - options.keepDeadMs)
      for (const [robot, until] of pauses) if (until <= now) pauses.delete(robot)
    },
    async close() { sends = [] },
  }
  return outbox
}
