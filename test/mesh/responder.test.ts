import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createMesh } from '../../src/mesh/index.ts'
import { createRateLimit } from '../../src/mesh/limits.ts'
import { meshSchema } from '../../src/mesh/options.ts'
import { startResponder } from '../../src/mesh/responder.ts'
import { answerTo, LONGEST, question, questionLength, SHORTEST } from '../../src/probes/lib/mesh-wire.ts'
import { eventually, freePort } from '../support/process.ts'
import { listens } from '../support/tcp.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => { for (const cleanup of cleanups.splice(0).toReversed()) await cleanup() })

let counted: string[]
let port: number
const count = (protocol: string, result: string) => { counted.push(`${protocol} ${result}`) }
const here = (at = port) => ({ listen: { host: '127.0.0.1', port: at } })

function tcp(at = port): Socket {
  const socket = connect(at, '127.0.0.1')
  socket.on('error', () => {})
  cleanups.push(() => socket.destroy())
  return socket
}

function udp(): UdpSocket {
  const socket = createSocket('udp4')
  cleanups.push(() => new Promise<void>((resolve) => { socket.close(resolve) }))
  return socket
}

/** What comes back until the other side ends the connection, however it does. */
function untilClosed(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  return new Promise((resolve) => { socket.once('close', () => resolve(Buffer.concat(chunks))) })
}

describe('the responder', () => {
  beforeEach(async () => {
    counted = []
    port = await freePort()
    const responder = await startResponder(here().listen, count)
    cleanups.push(() => responder.close())
  })

  it.each([SHORTEST, 1_400, LONGEST])('answers %i bytes over TCP with as many, in whatever pieces they come', async (size) => {
    const socket = tcp()
    const asked = question(size)
    socket.write(asked.subarray(0, 3))
    socket.setNoDelay(true)
    await once(socket, 'connect')
    socket.write(asked.subarray(3, 11))
    socket.write(asked.subarray(11))
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    await eventually(() => Buffer.concat(chunks).length === size)
    expect(Buffer.concat(chunks).equals(answerTo(asked))).toBe(true)
    expect(counted).toEqual(['tcp answered'])
  })

  it.each([SHORTEST, 1_400, LONGEST])('answers %i bytes over UDP with as many', async (size) => {
    const socket = udp()
    const asked = question(size)
    socket.send(asked, port, '127.0.0.1')
    const [answer] = await once(socket, 'message') as [Buffer] // safe: a datagram's
    expect(answer.equals(answerTo(asked))).toBe(true)
    await eventually(() => counted.join() === 'udp answered')
  })

  const short = () => { const bytes = question(64); bytes.writeUInt16BE(SHORTEST - 1, 6); return bytes }
  const long = () => { const bytes = question(64); bytes.writeUInt16BE(LONGEST + 1, 6); return bytes }
  const otherVersion = () => { const bytes = question(64); bytes[4] = 2; return bytes }
  const NO_QUESTIONS: readonly (readonly [string, () => Buffer])[] = [
    ['an answer', () => answerTo(question(64))], ['another version', otherVersion], ['another protocol', () => Buffer.from('GET / HTTP/1.1\r\n\r\n'.padEnd(80))],
    ['a length below the least', short], ['a length beyond the most', long],
  ]

  it.each(NO_QUESTIONS)('says not a word to %s', async (_, bytes) => {
    const socket = tcp()
    socket.write(bytes())
    expect(await untilClosed(socket)).toHaveLength(0)
    const datagrams = udp()
    let answers = 0
    datagrams.on('message', () => { answers++ })
    datagrams.send(bytes(), port, '127.0.0.1')
    await eventually(() => counted.includes('udp refused'))
    expect(counted).toEqual(['tcp refused', 'udp refused'])
    // Its own answer would have come before that of a question that is sent now.
    datagrams.send(question(64), port, '127.0.0.1')
    await eventually(() => counted.includes('udp answered'))
    await eventually(() => answers > 0)
    expect(answers).toBe(1)
  })

  it('answers no datagram whose length is not the one that it names', async () => {
    const socket = udp()
    socket.send(question(100).subarray(0, 99), port, '127.0.0.1')
    socket.send(Buffer.concat([question(100), Buffer.from('x')]), port, '127.0.0.1')
    await eventually(() => counted.length === 2)
    expect(counted).toEqual(['udp refused', 'udp refused'])
  })

  it('does not keep another responder busy: what it answers is no question', () => {
    expect(questionLength(answerTo(question(64)))).toBe(0)
  })

  it('ends a connection that asks too much, and goes on', async () => {
    const socket = tcp()
    for (let asked = 0; asked < 60; asked++) socket.write(question(LONGEST))
    await untilClosed(socket)
    expect(counted).toContain('tcp limited')
    expect(await listens(port)).toBe(true)
  })

  it('has so many connections of an address, and no more', async () => {
    const sockets = Array.from({ length: 20 }, () => tcp())
    let closed = 0
    for (const socket of sockets) socket.on('close', () => { closed++ })
    await eventually(() => closed === 4)
    expect(counted.filter((one) => one === 'tcp limited')).toHaveLength(4)
  })
})

it('answers an agent over UDP while it has a connection, whatever forged addresses have used up', async () => {
  counted = []
  port = await freePort()
  const responder = await startResponder(here().listen, count, { perSecond: 0, burst: 1 })
  cleanups.push(() => responder.close())
  const socket = udp()
  const ask = async (...all: readonly string[]) => {
    socket.send(question(64), port, '127.0.0.1')
    await eventually(() => counted.length === all.length)
    expect(counted).toEqual(all)
  }
  await ask('udp answered')
  await ask('udp answered', 'udp limited')
  const agent = tcp()
  agent.write(question(64))
  await eventually(() => counted.length === 3)
  await ask('udp answered', 'udp limited', 'tcp answered', 'udp answered')
  agent.destroy()
})

describe('the rate limit', () => {
  it('lets genuine addresses have their own share when the total is used up, and no more', () => {
    const allows = createRateLimit({ perSecond: 0, burst: 2 }, { perSecond: 0, burst: 1 }, 100, (address) => address === 'agent', () => 0)
    expect(['forged', 'other', 'agent', 'agent', 'agent'].map(allows)).toEqual([true, false, true, true, false])
  })

  it('holds for each address, and for all together', () => {
    let now = 0
    const allows = createRateLimit({ perSecond: 10, burst: 2 }, { perSecond: 100, burst: 5 }, 100, () => false, () => now)
    expect(['a', 'a', 'a', 'b', 'b', 'c', 'c'].map(allows)).toEqual([true, true, false, true, true, true, false])
    now = 100
    expect(['a', 'a', 'c'].map(allows)).toEqual([true, false, true])
  })

  it('remembers so many addresses: the one that was silent for longest is forgotten', () => {
    const allows = createRateLimit({ perSecond: 0, burst: 1 }, { perSecond: 0, burst: 1_000 }, 2, () => false, () => 0)
    expect(['a', 'b', 'a', 'c', 'a', 'b'].map(allows)).toEqual([true, true, false, true, false, true])
  })
})

describe('the section mesh', () => {
  beforeEach(async () => {
    counted = []
    port = await freePort()
  })

  const meshOf = () => {
    const said: string[] = []
    const mesh = createMesh({ count, onTrouble: (sentence) => said.push(sentence), onListening: (address) => said.push(address) })
    cleanups.push(() => mesh.stop())
    return { mesh, said }
  }

  it('is moved by a reload, and left alone by one that does not', async () => {
    const { mesh, said } = meshOf()
    const other = await freePort()
    await mesh.configure(here())
    const socket = tcp()
    await once(socket, 'connect')
    await mesh.configure(here())
    expect(socket.destroyed).toBe(false)
    await Promise.all([mesh.configure(here(other)), untilClosed(socket)])
    expect([await listens(port), await listens(other)]).toEqual([false, true])
    await mesh.configure(undefined)
    expect(await listens(other)).toBe(false)
    expect(said).toEqual([`127.0.0.1:${port}`, `127.0.0.1:${other}`])
  })

  it('says in a sentence that a port is taken, by TCP or by UDP, and holds neither', async () => {
    const { mesh, said } = meshOf()
    const server = createServer().listen(port, '127.0.0.1')
    cleanups.push(() => new Promise((resolve) => server.close(resolve)))
    await once(server, 'listening')
    await mesh.configure(here())
    const other = await freePort()
    const taken = udp().bind(other, '127.0.0.1')
    await once(taken, 'listening')
    await mesh.configure(here(other))
    expect(said).toEqual([port, other].map((at) => `mesh.listen: cannot listen on 127.0.0.1:${at}: another process listens there; it is tried again every 10 s`))
    expect(await listens(other)).toBe(false)
  })

  it.each([':9798', '0.0.0.0:1', '[::1]:65535', '10.0.0.1:9798', 'fd00::1:9798'])('takes %s', (listen) => {
    expect(meshSchema.safeParse({ listen }).success).toBe(true)
  })

  it.each(['9798', ':0', ':65536', 'localhost:9798', 'fd00::1', '::9798', '[10.0.0.1]:9798', ''])('refuses %j', (listen) => {
    expect(meshSchema.safeParse({ listen }).error?.issues.map(({ message }) => message)).toEqual([expect.stringMatching(/^expected \[address\]:port such as :9798/)])
  })
})
