import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server as TcpServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { decode, encode, type Answer, type Packet, type Question } from 'dns-packet'
import { freePort, startProcess, type Running } from './process.ts'

/** One question that a scripted server was asked. */
export interface Asked {
  readonly via: 'udp' | 'tcp'
  readonly id: number
  readonly name: string
  readonly type: string
  readonly recursionDesired: boolean
}

export interface ScriptedDns {
  readonly port: number
  /** Every question so far. */
  readonly asked: readonly Asked[]
  /** TCP connections that are open right now. */
  open(): number
  close(): Promise<void>
}

/** Answers a question: `send` may be called at once, later, several times or never. Over TCP the length is put before it unless `raw`. */
export type Script = (asked: Asked, send: (packet: Buffer, raw?: 'raw') => void, socket?: Socket) => void

/** A name server on 127.0.0.1 that misbehaves as the test says, over UDP and, unless `tcp` is false, over TCP. */
export async function scriptedDns(script: Script, { tcp = true } = {}): Promise<ScriptedDns> {
  const asked: Asked[] = []
  const sockets = new Set<Socket>()
  let closed = false
  const note = (via: Asked['via'], packet: Buffer): Asked => {
    const { id = 0, questions: [question] = [], flag_rd } = decode(packet)
    const one = { via, id, name: question?.name ?? '', type: question?.type ?? '', recursionDesired: flag_rd }
    asked.push(one)
    return one
  }
  const onUdp = (udp: UdpSocket) => udp.on('message', (packet, from) => {
    script(note('udp', packet), (answer) => { if (!closed) udp.send(answer, from.port, from.address, () => {}) })
  })
  const onTcp = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    let bytes = Buffer.alloc(0)
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk])
      if (bytes.length < 2 || bytes.length < 2 + bytes.readUInt16BE(0)) return
      script(note('tcp', bytes.subarray(2)), (answer, raw) => { if (!socket.destroyed) socket.write(raw ? answer : framed(answer)) }, socket)
    })
  }

  for (;;) {
    const udp = createSocket('udp4')
    udp.bind(0, '127.0.0.1')
    await once(udp, 'listening')
    const { port } = udp.address()
    const server = tcp ? await listen(port, onTcp) : undefined
    if (tcp && !server) {
      udp.close()
      continue
    }
    onUdp(udp)
    return {
      port,
      asked,
      open: () => sockets.size,
      async close() {
        closed = true
        udp.close()
        for (const socket of sockets) socket.destroy()
        if (server) await new Promise((resolve) => server.close(resolve))
      },
    }
  }
}

/** A TCP server on the port, or undefined when the port is taken. */
async function listen(port: number, onSocket: (socket: Socket) => void): Promise<TcpServer | undefined> {
  const server = createServer(onSocket).listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
    return server
  } catch {
    return undefined
  }
}

/** A message with the two bytes of length that TCP puts before it. */
export function framed(packet: Buffer): Buffer {
  return Buffer.concat([Buffer.from([packet.length >> 8, packet.length & 0xff]), packet])
}

/** The packet that answers a question; every part can be bent. */
export function reply(
  { id, name, type }: Pick<Asked, 'id' | 'name' | 'type'>,
  { rcode = 0, truncated = false, answers = [], authorities = [], additionals = [], ...bent }:
  { rcode?: number, truncated?: boolean, id?: number, questions?: Question[] } & Pick<Packet, 'answers' | 'authorities' | 'additionals'> = {},
): Buffer {
  return encode({
    type: 'response',
    id: bent.id ?? id,
    flags: 0x0180 | (truncated ? 0x0200 : 0) | rcode,
    questions: bent.questions ?? [{ name, type: type as Question['type'] }], // safe: it was read from a question by the same library
    answers, authorities, additionals,
  })
}

/** An address record for the name that was asked for; AAAA for an IPv6 address. */
export function addressRecord(name: string, ip: string, ttl = 5): Answer {
  return { name, type: ip.includes(':') ? 'AAAA' : 'A', ttl, data: ip }
}

export interface RealDns extends Running {
  readonly port: number
}

/** Whether a TCP port of a name server answers; its UDP port is bound before. */
async function answers(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

const LONG_TEXTS = Array.from({ length: 20 }, (_, index) => `${'x'.repeat(100)}${index}`)

/**
 * unbound, which answers in every way: ok.test (A, AAAA), nx.test (NXDOMAIN), nodata.test, refused.test, drop.test
 * (silence), big.test (TXT that does not fit into UDP), servfail.test (its upstream is dead), and reverse 127.0.0.1.
 */
export async function startUnbound(directory: string, tls?: { readonly key: string, readonly cert: string }): Promise<RealDns & { readonly tlsPort: number }> {
  const port = await freePort()
  const tlsPort = await freePort()
  const home = join(directory, 'unbound')
  mkdirSync(home, { recursive: true })
  writeFileSync(join(home, 'unbound.conf'), `server:
  interface: 127.0.0.1@${port}
${tls ? `  interface: 127.0.0.1@${tlsPort}\n  tls-port: ${tlsPort}\n  tls-service-key: "${tls.key}"\n  tls-service-pem: "${tls.cert}"` : ''}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "${home}"
  pidfile: "${home}/unbound.pid"
  use-syslog: no
  num-threads: 1
  module-config: "iterator"
  do-not-query-localhost: no
  root-hints: ""
  local-zone: "test." nodefault
  max-udp-size: 512
  local-zone: "ok.test." static
  local-data: "ok.test. 5 A 192.0.2.1"
  local-data: "ok.test. 9 A 192.0.2.11"
  local-data: "ok.test. 5 AAAA 2001:db8::1"
  local-zone: "nx.test." always_nxdomain
  local-zone: "nodata.test." always_nodata
  local-zone: "refused.test." always_refuse
  local-zone: "drop.test." always_deny
  local-zone: "big.test." static
${LONG_TEXTS.map((text) => `  local-data: 'big.test. 5 TXT "${text}"'`).join('\n')}
forward-zone:
  name: "servfail.test."
  forward-addr: 127.0.0.1@1
  forward-tcp-upstream: yes
remote-control:
  control-enable: no
`)
  const running = await startProcess('unbound', ['-c', join(home, 'unbound.conf'), '-d'], { ready: () => answers(port) })
  return { ...running, port, tlsPort }
}

/** A record of every type whose presentation is spelt out, under good.test. */
export const ZONE = {
  www: 'A 192.0.2.2', v6: 'AAAA 2001:db8:0:0:1::2', alias: 'CNAME www', here: 'DNAME there.example.org.',
  mail: 'MX 10 mx.example.org.', nullmx: 'MX 0 .', txt: 'TXT "v=spf1 include:x" " -all"', quote: 'TXT "say \\"hi\\""',
  _sip_tcp: 'SRV 1 2 5060 sip', ca: 'CAA 128 issue "ca.example.org; policy=ev"', host: 'HINFO "PC" "Linux 6"',
  naptr: 'NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:a@b.c!" .', ptr: 'PTR odd\\.label.example.org.', who: 'RP admin.example.org. txt',
  afs: 'AFSDB 1 db.example.org.', kx: 'KX 5 kx.example.org.',
  key: 'DNSKEY 257 3 8 AwEAAaetidLzsKWUt4swWR8yu0wPHPiUi8LUsAD0QPWU+wzt89epO6tHzkMBVDkC7qphQO2hTY4hHn9npWFRw5BYubE=',
  cdnskey: 'CDNSKEY 0 3 0 AA==', ds: 'DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D',
  cds: 'CDS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D',
  tlsa: 'TLSA 3 1 1 D2ABDE240D7CD3EE6B4B28C54DF034B97983A1D16E8A410E4561CB106618E971',
  sshfp: 'SSHFP 4 9 ABCDEF0123', dhcid: 'DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=', spf: 'SPF "v=spf1 -all"',
  sig: 'RRSIG A 8 3 300 20300101000000 20200101000000 12345 good.test. AQIDBA==', loc: 'LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m',
} as const

/** named, authoritative: good.test (see ZONE; the name of a Kubernetes API; SOA serial 2026010203; big TXT), broken.test (SERVFAIL), all else REFUSED. */
export async function startNamed(directory: string): Promise<RealDns> {
  const port = await freePort()
  const home = join(directory, 'named')
  mkdirSync(home, { recursive: true })
  writeFileSync(join(home, 'good.zone'), [
    '$TTL 300', '@ SOA ns admin 2026010203 60 60 600 5', '@ NS ns', 'ns A 127.0.0.1', 'kubernetes.default.svc A 192.0.2.6',
    ...Object.entries(ZONE).map(([name, data]) => `${name} ${data}`),
    ...LONG_TEXTS.map((text) => `big TXT "${text}"`), '',
  ].join('\n'))
  writeFileSync(join(home, 'named.conf'), `options {
  directory "${home}"; pid-file "${home}/named.pid"; session-keyfile "${home}/session.key";
  listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; };
  recursion no; dnssec-validation no; max-udp-size 512; check-names primary ignore;
};
controls {};
zone "good.test" { type primary; file "good.zone"; };
zone "broken.test" { type primary; file "missing.zone"; };
`)
  const running = await startProcess('named', ['-c', join(home, 'named.conf'), '-g', '-n', '1'], { ready: () => answers(port), cwd: home })
  return { ...running, port }
}

/** dnsmasq: ok.test is 192.0.2.3, nx.test is NXDOMAIN, dead.test has a dead upstream. */
export async function startDnsmasq(directory: string): Promise<RealDns> {
  const port = await freePort()
  const running = await startProcess('dnsmasq', [
    '-C', '/dev/null', '-k', '-p', String(port), '--listen-address=127.0.0.1', '--bind-interfaces', '-R', '-h', '-u', '', '--address=/ok.test/192.0.2.3',
    '--local=/nx.test/', '--server=/dead.test/127.0.0.1#1', `--pid-file=${join(directory, 'dnsmasq.pid')}`,
  ], { ready: () => answers(port) })
  return { ...running, port }
}
