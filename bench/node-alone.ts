// A process of its own: what a probe does, with what Node has for it and nothing around it. What this costs no prober on
// Node can save: no results, no deadlines, no names, and runs that begin together as Curlew's do.
import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { get } from 'node:http'
import { connect } from 'node:net'
import { connect as connectTls, createSecureContext } from 'node:tls'
import { z } from 'zod'
import { encodeQuery } from '../src/probes/lib/dns-client.ts'
import { atASteadyRate } from './pace.ts'

/** The tick of Curlew's own wheel. */
const TICK_MS = 16

const plan = z.object({ kind: z.enum(['tcp', 'http', 'dns', 'tls']), perSecond: z.number(), hosts: z.array(z.string()), port: z.number(), query: z.string().default(''), caFile: z.string().optional() })
  .parse(JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')))
const { port, query, caFile } = plan
const secureContext = createSecureContext(caFile === undefined ? {} : { ca: readFileSync(caFile) })
let done = 0
let lost = 0
const well = () => { done++ }
const badly = () => {
  done++
  lost++
}

const PROBES: Readonly<Record<typeof plan.kind, (host: string) => void>> = {
  tcp(host) {
    const socket = connect({ host, port, noDelay: true, autoSelectFamily: false }, () => {
      socket.destroy()
      well()
    }).on('error', badly)
  },
  http(host) {
    get({ host, port, agent: false, headers: { Host: host } }, (response) => response.resume().on('end', well)).on('error', badly)
  },
  dns(host) {
    const socket = createSocket({ type: 'udp4', lookup: (address, _options, callback) => callback(null, address, 4) })
    socket.on('error', badly).on('message', () => {
      socket.close()
      well()
    })
    socket.connect(port, host, () => socket.send(encodeQuery(query, 'A')))
  },
  tls(host) {
    const socket = connectTls({ host, port, servername: 'localhost', secureContext }, () => {
      socket.destroy()
      well()
    }).on('error', badly)
  },
}

atASteadyRate(plan.perSecond, TICK_MS, (turn) => PROBES[plan.kind](plan.hosts[turn % plan.hosts.length] ?? ''), () => ({ done, lost }))
