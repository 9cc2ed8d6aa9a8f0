import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { expect, it } from 'vitest'
import { post } from '../../src/notify/wire.ts'

/** A service in a thread of its own, which this one's event loop cannot hold up: it tells its port, then of each request, and answers 50 ms later. */
const SERVICE = `
const { parentPort } = require('node:worker_threads')
const server = require('node:http').createServer((request, response) => {
  request.resume().on('end', () => {
    parentPort.postMessage('taken')
    setTimeout(() => response.end('ok'), 50)
  })
})
server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
`

it.each([
  '127.0.0.1', '[::1]', 'localhost', '[::ffff:127.0.0.1]', '[::127.0.0.1]', '[64:ff9b::7f00:1]', '[2002:7f00:1::]', '[fd00::1]', '[fe80::1]',
  '0.0.0.0', '[::]', '2130706433', '0x7f.1', '100.64.0.1', '169.254.169.254', '10.0.0.1', '198.18.0.1', '255.255.255.255', '224.0.0.1',
])('sends nothing to %s unless private destinations are allowed', async (host) => {
  const sent = post({ url: `http://${host}:1/`, headers: {}, body: '{}' }, { timeoutMs: 1_000, allowPrivate: false })
  await expect(sent).rejects.toMatchObject({ reason: 'private_destination' })
})

it('reads an answer that came in time although this process was held up past the timeout, as a disk does', async () => {
  const service = new Worker(SERVICE, { eval: true })
  try {
    const [port] = await once(service, 'message')
    const taken = once(service, 'message')
    const answer = post({ url: `http://127.0.0.1:${port}/`, headers: {}, body: '{}' }, { timeoutMs: 400, allowPrivate: true })
    await taken
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600)
    expect(await answer).toMatchObject({ status: 200, body: 'ok' })
  } finally {
    await service.terminate()
  }
})
