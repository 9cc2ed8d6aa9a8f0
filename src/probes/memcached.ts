import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import { z } from 'zod'
import type { SharedCode } from '../core/codes.ts'
import { hostPort, secret } from '../core/fields.ts'
import { defineProbe, type ProbeContext } from '../core/probe.ts'
import { dial, dialFields, dialGauges } from './lib/dial.ts'
import { loader } from './lib/loader.ts'
import type { BinaryClient } from './lib/memcached-binary.ts'
import { MEMCACHED_CODES, type MemcachedCode } from './lib/memcached-codes.ts'
import { askText, type TextAnswer } from './lib/memcached-text.ts'
import { connectAgain, orExplained } from './lib/memcached-triage.ts'

const options = z.strictObject({
  target: hostPort(11211),
  username: z.string().min(1).describe('SASL user; some servers want user@realm').optional(),
  password: secret().describe('SASL password').optional(),
  // A key of memcached has at most 250 bytes, without spaces and control characters.
  key_prefix: z.string().regex(/^[\x21-\x7e]{0,100}$/, 'expected at most 100 visible ASCII characters').default('probe:').describe('what the one key that the probe writes begins with'),
  ...dialFields,
})

type Options = z.output<typeof options>

const gauges = {
  ...dialGauges,
  probe_memcached_info: { help: 'Always 1; the version of the server.', labels: ['version'] },
  probe_memcached_uptime_seconds: 'Time since the server started.',
  probe_memcached_current_connections: 'Open connections.',
  probe_memcached_max_connections: 'The limit of open connections (-c).',
  probe_memcached_connections_ratio: 'Open connections over their limit.',
  probe_memcached_connections_rejected: 'Connections turned away at the limit since the server started; absent with no_maxconns_fast.',
  probe_memcached_current_bytes: 'Memory that the items take.',
  probe_memcached_limit_bytes: 'The limit of that memory (-m).',
  probe_memcached_memory_ratio: 'Memory of the items over its limit.',
  probe_memcached_items_evicted: 'Valid items removed to make room for new ones since the server started.',
}

type Context = ProbeContext<'resolve' | 'connect' | 'auth' | 'request', keyof typeof gauges, MemcachedCode | SharedCode>

/** The key is gone by itself after this. Below 2 memcached may drop it at once. */
const KEY_LIFETIME_SECONDS = 60

const loadClient = loader(() => import('./lib/memcached-binary.ts'))

export const memcached = defineProbe({
  type: 'memcached',
  summary: 'A memcached server: a value stored, read back and removed, and its own statistics',
  options,
  phases: { resolve: 'resolve', connect: 'connect', auth: 'auth', request: 'request' },
  gauges,
  codes: MEMCACHED_CODES,
  levels: {
    connections_ratio: { gauge: 'probe_memcached_connections_ratio', worse: 'above' },
    memory_ratio: { gauge: 'probe_memcached_memory_ratio', worse: 'above' },
    items_evicted: { gauge: 'probe_memcached_items_evicted', worse: 'above' },
  },
  schemes: ['memcached'],
  fromUrl(url) {
    if (!['', '/'].includes(url.pathname)) throw new Error('expected a URL without a path, as in memcached://host:11211')
    return {
      ...Object.fromEntries(url.searchParams),
      target: url.host,
      ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
      ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    }
  },
  example: { target: 'memcached.example.org:11211', key_prefix: 'probe:' },

  load: loadClient,

  async run(options, probe) {
    const { openMemjs } = await loadClient()
    const first = await dial(probe, options.target, options)
    const { remoteAddress: ip, remotePort: port } = first
    if (ip === undefined || port === undefined) return probe.fail('connect_reset', 'the connection was closed as soon as it was made')
    const peer = { ip, port }
    const key = `${options.key_prefix}curlew:${probe.owner}`
    let second: Socket | undefined
    try {
      const credentials = credentialsOf(options)
      if (credentials) {
        const client = openMemjs(first, credentials)
        await probe.phase('auth', () => orExplained(client.login(), 'binary', peer, probe.deadline))
        return await probe.phase('request', () => orExplained(use(client, key, probe), 'binary', peer, probe.deadline))
      }

      const answer = await probe.phase('request', () => orExplained(askText(first), 'text', peer, probe.deadline))
      if (answer !== 'closed') exportStats(answer, probe)
      // A server that speaks the binary protocol only hangs up on text.
      if (answer !== 'closed' && probe.mode === 'read-only') return
      second = await probe.phase('connect', () => connectAgain(peer, probe.deadline, probe.signal))
      if (!second) return probe.fail('connect_timeout', 'the second connection of the run is not accepted')
      const client = openMemjs(second, undefined)
      await probe.phase('request', () => orExplained(use(client, key, probe), 'binary', peer, probe.deadline))
    } finally {
      first.destroy()
      second?.destroy()
    }
  },
})

function credentialsOf({ username, password }: Options) {
  return username === undefined && password === undefined ? undefined : { username: username ?? '', password: password?.reveal() ?? '' }
}

async function use(client: BinaryClient, key: string, probe: Context): Promise<void> {
  if (probe.mode === 'read-only') {
    await client.get(key)
    return
  }
  const nonce = randomUUID()
  await client.set(key, nonce, KEY_LIFETIME_SECONDS)
  const value = await client.get(key)
  await client.delete(key)
  probe.expect(value === nonce, 'memcached_wrong_value', value === undefined ? 'the key that was just stored is gone' : `stored ${nonce}, read ${JSON.stringify(value.slice(0, 80))}`)
}

/** What a server does not tell is not exported. */
function exportStats({ version, stats }: TextAnswer, probe: Context): void {
  probe.gauge('probe_memcached_info', 1, { version: version.slice(0, 40) })
  const read = (field: string): number | undefined => {
    const text = stats?.get(field)
    return text !== undefined && /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : undefined
  }
  const put = (name: keyof typeof gauges, value: number | undefined) => {
    if (value !== undefined) probe.gauge(name, value)
  }
  const ratio = (value: number | undefined, limit: number | undefined) => value === undefined || !limit ? undefined : value / limit

  put('probe_memcached_uptime_seconds', read('uptime'))
  const [connections, mostConnections] = [read('curr_connections'), read('max_connections')]
  put('probe_memcached_current_connections', connections)
  put('probe_memcached_max_connections', mostConnections)
  put('probe_memcached_connections_ratio', ratio(connections, mostConnections))
  put('probe_memcached_connections_rejected', read('rejected_connections'))
  const [bytes, mostBytes] = [read('bytes'), read('limit_maxbytes')]
  put('probe_memcached_current_bytes', bytes)
  put('probe_memcached_limit_bytes', mostBytes)
  put('probe_memcached_memory_ratio', ratio(bytes, mostBytes))
  put('probe_memcached_items_evicted', read('evictions'))
}
