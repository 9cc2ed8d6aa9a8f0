import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readUpstreams } from '../../../../src/discover/kubernetes/health/corefile.ts'

const shown = (corefile: string) => readUpstreams(corefile).upstreams.map(({ zone, transport, target }) => `${zone} ${transport} ${target}`)

/** As kubeadm writes it. */
const KUBEADM = `.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
    }
    loop
    reload
    loadbalance
}
`

describe('upstreams of a Corefile', () => {
  it('has none as kubeadm writes it, but a file', () => {
    expect(readUpstreams(KUBEADM)).toEqual({ upstreams: [], files: ['/etc/resolv.conf'], problems: [] })
  })

  it('reads every address, each server block, comments and braces', () => {
    expect(shown(`
# forward . 192.0.2.99
(common) {
  errors # forward . 192.0.2.98
}
.:53, dns://internal:1053 { # all
  import common
  forward . 10.0.0.53 10.0.0.54:5353 [2001:db8::1]:53 2001:db8::2 dns://10.0.0.55 /etc/resolv.conf { policy sequential
    except example.net
  }
}
`)).toEqual([
      '. udp 10.0.0.53:53', 'internal udp 10.0.0.53:53', '. udp 10.0.0.54:5353', 'internal udp 10.0.0.54:5353', '. udp [2001:db8::1]:53', 'internal udp [2001:db8::1]:53',
      '. udp [2001:db8::2]:53', 'internal udp [2001:db8::2]:53', '. udp 10.0.0.55:53', 'internal udp 10.0.0.55:53',
    ])
  })

  it('knows whose names an upstream is asked for', () => {
    expect(shown('Corp.Example.:53 {\n forward . 10.1.1.1\n}\n.:53 {\n forward lab.example 10.2.2.2\n forward . 10.3.3.3\n}\n10.0.0.0/24 {\n forward . 10.4.4.4\n}')).toEqual([
      'corp.example udp 10.1.1.1:53', 'lab.example udp 10.2.2.2:53', '. udp 10.3.3.3:53',
    ])
  })

  it('reads TLS with its names, and TCP', () => {
    const { upstreams } = readUpstreams('. {\n forward . tls://9.9.9.9 {\n  tls_servername dns.example.net\n }\n}\na {\n forward . tls://[2001:db8::9]:8853%dns9.example.net\n}\nb {\n forward . tls://10.0.0.9 {\n tls "/etc/ca of ours.crt"\n }\n}\nc {\n forward . 10.0.0.8 {\n force_tcp\n }\n}')
    expect(upstreams).toEqual([
      { target: '9.9.9.9:853', transport: 'dot', zone: '.', serverName: 'dns.example.net', ownAuthority: false },
      { target: '[2001:db8::9]:8853', transport: 'dot', zone: 'a', serverName: 'dns9.example.net', ownAuthority: false },
      { target: '10.0.0.9:853', transport: 'dot', zone: 'b', serverName: undefined, ownAuthority: true },
      { target: '10.0.0.8:53', transport: 'tcp', zone: 'c', serverName: undefined, ownAuthority: false },
    ])
  })

  it('says what it cannot read, and reads the others', () => {
    const { upstreams, problems } = readUpstreams('. {\n forward . {$UPSTREAM} https://10.0.0.1 dns.example.org fe80::1%eth0 10.0.0.53\n}')
    expect(upstreams).toMatchObject([{ target: '10.0.0.53:53' }])
    expect(problems).toEqual([expect.stringContaining('{$UPSTREAM}'), expect.stringContaining('https://10.0.0.1'), expect.stringContaining('dns.example.org'), expect.stringContaining('fe80::1%eth0')])
  })

  it.each([['. {\n forward . 10.0.0.53\n', 'ends within braces'], ['. {\n}\n}', 'has not opened'], ['. {\n log "a\n}', 'within quotes'], ['{ '.repeat(20).replaceAll('{', 'a {\n'), 'within braces within']])('%j is no Corefile', (text, why) => {
    expect(() => readUpstreams(text)).toThrow(why)
  })

  it('never throws anything but a sentence, whatever the text', () => {
    const piece = fc.constantFrom('{', '}', '\n', '"', '#', ' ', 'forward', '.', '10.0.0.1', 'tls://', ':', '[', ']', '%', '\\', '(', ')', '/', ',', '{$A}', '\u0000')
    fc.assert(fc.property(fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join('')), (text) => {
      try {
        for (const { target } of readUpstreams(text).upstreams) expect(target).toMatch(/^[\d.:[\]a-f]+$/)
      } catch (error) {
        expect(String(error)).toMatch(/^Error: the Corefile /)
      }
    }), { numRuns: 2_000 })
  })
})
