import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { expect, it } from 'vitest'
import { askUdp } from '../../../src/probes/lib/dns-client.ts'

// A packet filter that forbids sending (EPERM) needs root to set up; a packet that is too large is refused by the same call.
it('throws what the kernel refuses to send, and does not take it for silence of the server', async () => {
  const server = createSocket('udp4').bind(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const waiting = { signal: new AbortController().signal, giveUpAt: performance.now() + 2_000 }
    await expect(askUdp({ ip: '127.0.0.1', port: server.address().port }, Buffer.alloc(70_000), waiting)).rejects.toMatchObject({ code: 'EMSGSIZE' })
  } finally {
    server.close()
  }
})
