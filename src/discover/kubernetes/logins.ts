import { z } from 'zod'
import { apart, Secret } from '../../core/secrets.ts'
import { inNamespace } from '../../kubernetes/collections.ts'
import { KubeError, type KubeClient } from '../../kubernetes/model.ts'

/** A Secret is read again so often: to watch Secrets is a larger permission than to get one by its name. */
const REREAD_MS = 180_000
const RETRY_MS = 30_000
const LOOK_MS = 10_000
const AT_A_TIME = 4
const LONGEST = 1_024

export type Login =
  /** `version` changes with the content. */
  | { readonly state: 'known', readonly username: string | undefined, readonly password: Secret, readonly version: number }
  | { readonly state: 'pending' }
  | { readonly state: 'refused', readonly message: string }

export interface Logins {
  /** What is known of a Secret; asks for it where nothing is. */
  get(namespace: string, name: string): Login
  /** Forgets every Secret that is not among these, `namespace/name`. */
  keep(used: ReadonlySet<string>): void
  /** Resolves when nothing is being read. */
  idle(): Promise<void>
  stop(): void
}

interface Held {
  readonly namespace: string
  readonly name: string
  login: Login
  dueAt: number
}

/** Only these two keys of a Secret are ever looked at. */
const content = z.object({ data: z.object({ username: z.string().optional(), password: z.string().optional() }).nullish() })

/** Reads the Secrets that annotations name, each by itself. `onChange` is called when what one says has changed. */
export function createLogins({ client, onChange }: { readonly client: KubeClient, readonly onChange: () => void }): Logins {
  const held = new Map<string, Held>()
  const waiting: Held[] = []
  const underWay = new Set<Promise<void>>()
  const stop = new AbortController()
  let versions = 0
  const timer = setInterval(() => {
    const now = performance.now()
    for (const one of held.values()) if (one.dueAt <= now) ask(one)
  }, LOOK_MS)
  timer.unref()

  function ask(one: Held) {
    one.dueAt = Infinity
    waiting.push(one)
    pump()
  }

  function pump() {
    while (underWay.size < AT_A_TIME) {
      const next = waiting.shift()
      if (!next || stop.signal.aborted) return
      const reading = read(next).finally(() => {
        underWay.delete(reading)
        pump()
      })
      underWay.add(reading)
    }
  }

  /** Never rejects. */
  async function read(one: Held): Promise<void> {
    const before = one.login
    try {
      const path = `${inNamespace('/api/v1/secrets', one.namespace)}/${encodeURIComponent(one.name)}`
      one.login = loginOf(await client.json({ path, signal: stop.signal }), before)
      one.dueAt = performance.now() + REREAD_MS
    } catch (error) {
      one.dueAt = performance.now() + RETRY_MS
      const trouble = error instanceof KubeError ? error.trouble : undefined
      // While the API is away the last good content stays.
      if (trouble === 'not_found') one.login = { state: 'refused', message: 'there is no such Secret in the namespace' }
      else if (trouble === 'forbidden') one.login = { state: 'refused', message: 'Curlew may not read the Secret' }
    }
    if (one.login !== before && !stop.signal.aborted && !same(one.login, before)) onChange()
  }

  function loginOf(raw: unknown, before: Login): Login {
    const { data } = content.safeParse(raw).data ?? {}
    const username = data?.username === undefined ? undefined : plain(data.username)
    const password = data?.password === undefined ? undefined : plain(data.password)
    if (password === undefined || password === '') return { state: 'refused', message: 'expected the Secret to have the key password' }
    if (password.length > LONGEST || (username?.length ?? 0) > LONGEST) return { state: 'refused', message: `expected at most ${LONGEST} characters in each key of the Secret` }
    if (before.state === 'known' && before.username === username && before.password.reveal() === password) return before
    return { state: 'known', username, password: apart(() => new Secret(password)).made, version: ++versions }
  }

  return {
    get(namespace, name) {
      const key = `${namespace}/${name}`
      const known = held.get(key)
      if (known) return known.login
      const one: Held = { namespace, name, login: { state: 'pending' }, dueAt: 0 }
      held.set(key, one)
      ask(one)
      return one.login
    },
    keep(used) {
      for (const key of held.keys()) if (!used.has(key)) held.delete(key)
    },
    async idle() {
      while (underWay.size > 0) await Promise.race(underWay)
    },
    stop() {
      stop.abort()
      clearInterval(timer)
      waiting.length = 0
    },
  }
}

function same(a: Login, b: Login): boolean {
  return a.state === 'refused' && b.state === 'refused' && a.message === b.message
}

function plain(base64: string): string {
  return Buffer.from(base64, 'base64').toString('utf8')
}
