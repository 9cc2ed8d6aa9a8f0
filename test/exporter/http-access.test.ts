import type { IncomingMessage } from 'node:http'
import { expect, it } from 'vitest'
import { isLocal } from '../../src/exporter/http-access.ts'

const request = (remoteAddress: string, localAddress: string) => ({ socket: { remoteAddress, localAddress }, headers: { host: 'localhost' } }) as unknown as IncomingMessage // safe: all that isLocal reads

it.each([
  ['127.0.0.1', '127.0.0.1', true], ['::1', '::1', true], ['::ffff:127.0.0.1', '::ffff:127.0.0.1', true], ['127.0.0.6', '10.1.2.3', false], ['10.1.2.3', '10.1.2.3', false],
])('a connection from %s to %s is local: %s (a mesh hands foreign ones over from loopback)', (from, to, local) => {
  expect(isLocal(request(from, to), undefined)).toBe(local)
})
