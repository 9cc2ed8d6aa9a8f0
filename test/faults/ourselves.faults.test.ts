import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe } from 'vitest'
import { childrenOf } from '../support/children.ts'
import { mountFaulty, type FaultyMount } from '../support/fuse.ts'
import { createNetwork, type Machine, type Network } from '../support/netns.ts'
import { eventually, startProcess, type Running } from '../support/process.ts'
import { tcpServer, type TestServer } from '../support/tcp.ts'
import { checkAll, ownRows, tally } from './own-row.ts'
import { faultTable, nothing, unknown, type Entry, type Fault, type Trial } from './table.ts'

const STALL = join(import.meta.dirname, 'stall.ts')
const BROKEN_CURLEW = join(import.meta.dirname, 'broken-curlew.ts')
/** Where nobody is: packets to it leave this machine. */
const AWAY = '10.9.1.2'
/** The number of the system call, as /proc shows it. */
const FSYNC = process.arch === 'x64' ? '74 ' : '82 '

/** Takes every local port there is for connections to itself, and says so. */
const TAKE_PORTS = `
const { connect, createServer } = require('node:net')
const server = createServer().listen(8000, '127.0.0.1', function take() {
  connect(8000, '127.0.0.1', take).on('error', ({ code }) => console.log(code))
})`
/** It says when it is contacted. */
const MYSQL_PORT = "require('node:net').createServer(() => console.log('touched')).listen(3306, '127.0.0.1', () => console.log('listening'))"

/** Leaves what other tests have mounted out of sight: it would be found too. In the namespace of ip(8) only it is gone. */
const WITHOUT_MOUNTS = `awk '/ - fuse\\./ { print $5 }' /proc/self/mountinfo | while read -r point; do umount --lazy --no-canonicalize "$point"; done; exec "$@"`

let network: Network
let faulty: FaultyMount
let answering: TestServer
let silent: TestServer
const running: Running[] = []

beforeAll(async () => {
  network = createNetwork()
  ;[faulty, answering, silent] = await Promise.all([mountFaulty(), tcpServer((socket) => { answerLate(socket) }), tcpServer()])
  network.a.sysctl('net.ipv4.ping_group_range', '1 0')
})
afterAll(async () => {
  await Promise.all([...running.map((one) => one.stop('SIGKILL')), faulty.stop(), answering.close(), silent.close()])
  network.remove()
})

/** Some hundred ms after the connection. */
function answerLate(socket: Socket): void {
  socket.resume()
  setTimeout(() => socket.write('hello\n'), 300)
}

async function startIn({ enter }: Machine, word: string, ...command: readonly string[]): Promise<Running> {
  const [program = '', ...args] = [...enter(), ...command]
  const one = await startProcess(program, args, { ready: (output) => output.includes(word) })
  running.push(one)
  return one
}

/** What this probe says while its event loop stands still for a second. */
const stalled = (more: Entry = {}): Trial => ({ probe: late(more), env: { NODE_OPTIONS: `--import=${STALL}`, STALL_MS: '1000' } })
const late = (more: Entry = {}): Entry => ({ type: 'tcp', target: `127.0.0.1:${answering.port}`, expect: 'hello', ...more })

/** A signal in the middle of a run. */
const signalled = (signal: NodeJS.Signals): Fault => ({
  fault: `it is told to end in the middle of a run (${signal})`,
  async make() {
    const before = silent.accepted()
    const meanwhile = async (pid: number) => {
      await eventually(() => silent.accepted() > before, 10_000, 'a connection')
      process.kill(pid, signal)
    }
    return { probe: { type: 'tcp', target: `127.0.0.1:${silent.port}`, expect: 'hello', timeout: '9s' }, meanwhile }
  },
  expected: nothing('interrupted'),
})

describe('ourselves', () => {
  faultTable('ourselves', [
    { fault: 'the event loop stands still for a second', make: () => stalled(), expected: unknown('starved', 'prober_starved') },
    { fault: 'the event loop stands still beyond the timeout', make: () => stalled({ timeout: '600ms' }), expected: unknown('starved', 'prober_starved') },
    {
      fault: 'the process is stopped for a second, and goes on',
      async make() {
        const before = answering.accepted()
        const meanwhile = async (pid: number) => {
          await eventually(() => answering.accepted() > before, 10_000, 'a connection')
          process.kill(pid, 'SIGSTOP')
          await sleep(1_000)
          process.kill(pid, 'SIGCONT')
        }
        return { probe: late({ timeout: '600ms' }), meanwhile }
      },
      expected: unknown('starved', 'prober_starved'),
    },
    ...(['SIGTERM', 'SIGINT', 'SIGHUP'] as const).map(signalled),
    { fault: 'no permission to send pings', make: () => ({ probe: 'icmp://127.0.0.1', wrap: network.a.enter('locked') }), expected: unknown('denied', 'ping_denied') },
    {
      fault: 'no local port is left',
      async make() {
        network.r1.sysctl('net.ipv4.ip_local_port_range', '40000 40003')
        await startIn(network.r1, 'EADDRNOTAVAIL', process.execPath, '-e', TAKE_PORTS)
        return { probe: { type: 'tcp', target: '127.0.0.1:8000' }, wrap: network.r1.enter() }
      },
      expected: unknown('overloaded', 'prober_no_ports'),
    },
    {
      fault: 'our own firewall drops the question to a name server',
      make: () => { network.a.nft('output', 'udp dport 53 drop'); return { probe: { type: 'dns', target: AWAY, query: 'ok.test' }, wrap: network.a.enter() } },
      expected: unknown('denied', 'prober_denied'),
      undo: () => network.a.clearNft(),
    },
    { fault: 'a TypeError inside a probe type', make: () => ({ probe: { type: 'broken-type', target: 'localhost:1' }, wrap: [process.execPath, BROKEN_CURLEW] }), expected: unknown('other', 'prober_bug') },
    { fault: 'a TypeError in a callback of a probe type', make: () => ({ probe: { type: 'broken-callback', target: 'localhost:1' }, wrap: [process.execPath, BROKEN_CURLEW] }), expected: nothing('unknown') },
    { fault: 'an error of Node (ERR_...) inside a probe type', make: () => ({ probe: { type: 'broken-range', target: 'localhost:1' }, wrap: [process.execPath, BROKEN_CURLEW] }), expected: unknown('other', 'prober_bug') },
    {
      fault: 'a helper process is killed in the middle of its work',
      make() {
        faulty.suffer({ fsync: { delay_ms: 700 } })
        const meanwhile = async (curlew: number) => {
          const worker = await eventually(() => childrenOf(curlew).find(({ pid }) => readFileSync(`/proc/${pid}/syscall`, 'latin1').startsWith(FSYNC)), 10_000, 'a worker in fsync')
          process.kill(worker.pid, 'SIGKILL')
        }
        return { probe: { type: 'mount', target: faulty.path, timeout: '9s' }, meanwhile }
      },
      expected: unknown('other', 'prober_worker_lost'),
      undo: () => faulty.suffer(),
    },
    {
      fault: 'a helper process gets going late, before a slow mount',
      make() {
        faulty.suffer({ statfs: { delay_ms: 500 } })
        const meanwhile = async (curlew: number) => {
          const worker = await eventually(() => childrenOf(curlew).find(({ command }) => command.includes('disk-worker')), 10_000, 'a worker')
          process.kill(worker.pid, 'SIGSTOP')
          await sleep(650)
          process.kill(worker.pid, 'SIGCONT')
        }
        return { probe: { type: 'mount', target: faulty.path, timeout: '1s' }, meanwhile }
      },
      expected: unknown('starved', 'prober_starved'),
      undo: () => faulty.suffer(),
    },
  ])

  ownRows('ourselves', [{
    fault: 'file descriptors run out half-way through sixty targets',
    expected: 'ok, unknown prober/overloaded prober_no_files',
    async look() {
      const servers = await Promise.all(Array.from({ length: 60 }, () => tcpServer(answerLate)))
      try {
        const targets = servers.map(({ port }) => `127.0.0.1:${port}`)
        const said = await checkAll([{ name: 'many', type: 'tcp', targets, expect: 'hello', timeout: '5s' }], { wrap: ['prlimit', '--nofile=50:50', '--'] })
        return [...new Set(said.map(({ verdict }) => verdict))].toSorted().join(', ')
      } finally {
        await Promise.all(servers.map((server) => server.close()))
      }
    },
  }, {
    fault: 'a Redis and a MySQL are found, without a login',
    expected: '2 unknown prober/denied prober_no_credentials, no contact',
    async look() {
      const mysql = await startIn(network.r2, 'listening', process.execPath, '-e', MYSQL_PORT)
      await startIn(network.r2, 'Ready to accept', 'redis-server', '--save', '', '--bind', '127.0.0.1', '--requirepass', 'locked')
      const said = await checkAll(undefined, { wrap: [...network.r2.enter(), 'sh', '-c', WITHOUT_MOUNTS, 'sh'] })
      const found = said.filter(({ name }) => ['local-redis', 'local-mysql'].includes(name))
      return `${tally(found)}, ${mysql.output().includes('touched') ? 'contact' : 'no contact'}`
    },
  }])
})
