import type { Socket } from 'node:net'

type Answer = string | ((args: readonly string[]) => string)

export const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`
export const array = (...items: readonly string[]) => `*${items.length}\r\n${items.join('')}`
export const MASTER = array(bulk('master'), ':0\r\n', array())

/** A command as the probe sends it, its name first: one at a time. */
export const commandOf = (chunk: Buffer) => chunk.toString().split('\r\n').filter((_, index) => index > 0 && index % 2 === 0)

/** Has a hand-written server answer each command by its name, as a master does where the test does not say otherwise. SET and GET remember. */
export function script(answers: Readonly<Record<string, Answer>>): (socket: Socket) => void {
  return (socket) => {
    let value = ''
    const usual: Record<string, Answer> = {
      ROLE: MASTER,
      INFO: bulk('redis_version:7.0.0\r\nrole:master\r\n'),
      SET: (args) => { value = args[2] ?? ''; return '+OK\r\n' },
      GET: () => bulk(value),
      UNLINK: ':1\r\n',
      PING: '+PONG\r\n',
    }
    socket.on('data', (chunk) => {
      const args = commandOf(chunk)
      const name = (args[0] ?? '').toUpperCase()
      const answer = answers[name] ?? usual[name] ?? `-ERR unknown command '${name}'\r\n`
      socket.write(typeof answer === 'string' ? answer : answer(args))
    })
  }
}
