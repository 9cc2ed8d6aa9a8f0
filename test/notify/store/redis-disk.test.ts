import { afterEach, describe, expect, it } from 'vitest'
import { Secret } from '../../../src/core/secrets.ts'
import { openRedisOutbox } from '../../../src/notify/store/redis.ts'
import { array, bulk, script } from '../../support/redis-script.ts'
import { tcpServer, type TestServer } from '../../support/tcp.ts'
import { firing, incomingOf, NOON, OPTIONS } from './samples.ts'

// Debian's Redis is older than WAITAOF: a hand-written server says what a newer one would.
describe('an outbox in a Redis whose disk lags behind', () => {
  let server: TestServer | undefined
  afterEach(async () => { await server?.close() })
  const accept = async ({ version, policy, synced }: { version: string, policy: string, synced: number }) => {
    const waits: string[] = []
    server = await tcpServer(script({
      INFO: bulk(`redis_version:${version}\r\nrole:master\r\naof_enabled:1\r\nmaxmemory:0\r\n`),
      CONFIG: array(bulk('appendfsync'), bulk(policy)),
      EVALSHA: array(bulk('ok'), ':1\r\n', ':0\r\n', ':0\r\n'),
      WAITAOF: (args) => { waits.push(args.join(' ')); return array(`:${synced}\r\n`, ':0\r\n') },
    }))
    const outbox = await openRedisOutbox({ url: new Secret(`redis://127.0.0.1:${server.port}`), prefix: '', durability: 'strict' }, OPTIONS)
    const answer = await outbox.accept([incomingOf([firing('a')])], NOON).catch(String)
    await outbox.close()
    return { answer, waits }
  }
  const taken = { queued: 1, duplicates: 0, merged: 0 }

  it('acknowledges what is on disk', async () => {
    expect(await accept({ version: '7.2.4', policy: 'everysec', synced: 1 })).toEqual({ answer: taken, waits: ['WAITAOF 1 0 1500'] })
  })

  it('does not acknowledge what is not', async () => {
    expect(await accept({ version: '8.0.1', policy: 'everysec', synced: 0 })).toEqual({ answer: 'NotSynced: Redis has not synced its append-only file within 1500 ms', waits: ['WAITAOF 1 0 1500'] })
  })

  it('asks nothing where every write is synced, or the version cannot tell', async () => {
    expect(await accept({ version: '7.2.4', policy: 'always', synced: 0 })).toEqual({ answer: taken, waits: [] })
    await server?.close()
    expect(await accept({ version: '7.0.15', policy: 'everysec', synced: 0 })).toEqual({ answer: taken, waits: [] })
  })
})
