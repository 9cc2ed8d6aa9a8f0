import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, it } from 'vitest'
import { metItself } from '../../../src/probes/lib/stream.ts'
import { freePort } from '../../support/process.ts'
import { tcpServer } from '../../support/tcp.ts'

it('knows a connection of a port with itself from one with a server', async () => {
  const server = await tcpServer()
  const port = await freePort()
  // Here the port of our own end is asked for; the kernel chooses it by chance.
  const [itself, other] = [connect({ host: '127.0.0.1', port, localPort: port }), connect(server.port, '127.0.0.1')]
  try {
    await Promise.all([once(itself, 'connect'), once(other, 'connect')])
    expect(metItself(itself, port)).toMatchObject({ code: 'ECONNREFUSED', message: `connect ECONNREFUSED 127.0.0.1:${port}` })
    expect(metItself(other, server.port)).toBeUndefined()
  } finally {
    itself.destroy()
    other.destroy()
    await server.close()
  }
})
