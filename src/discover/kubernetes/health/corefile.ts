import { isIP } from 'node:net'

/** A server that CoreDNS asks for what it does not know itself. */
export interface Upstream {
  /** `10.0.0.53`, `10.0.0.53:5353`, `[2001:db8::1]:53`: as a target has it. */
  readonly target: string
  readonly transport: 'udp' | 'tcp' | 'dot'
  /** Whose names it is asked for: `.` is all. */
  readonly zone: string
  /** Whom its certificate is for. */
  readonly serverName: string | undefined
  /** Its certificate is signed by an authority that CoreDNS has a file of. */
  readonly ownAuthority: boolean
}

export interface Upstreams {
  readonly upstreams: readonly Upstream[]
  /** Files such as /etc/resolv.conf that stand in place of an address. */
  readonly files: readonly string[]
  /** Upstreams that could not be read, as sentences. */
  readonly problems: readonly string[]
}

/** One line of a Corefile, and the lines in braces behind it. */
interface Statement {
  readonly words: readonly string[]
  readonly block: readonly Statement[]
}

/** Deeper braces than a Corefile has: its text comes from others. */
const MOST_DEPTH = 8
const DOT_PORT = '853'

/**
 * The upstreams of every `forward` of a Corefile (https://coredns.io/manual/toc/, https://coredns.io/plugins/forward/). What
 * is imported from other files is not there to be read. Throws an Error with a sentence when braces or quotes do not close.
 */
export function readUpstreams(corefile: string): Upstreams {
  const found = new Map<string, Upstream>()
  const files = new Set<string>()
  const problems = new Set<string>()
  for (const { words: keys, block } of parse(corefile)) {
    const zones = keys.flatMap((key) => key.split(',')).flatMap((key) => zoneOf(key) ?? [])
    for (const forward of block.filter(({ words: [directive] }) => directive === 'forward')) {
      const [, from = '.', ...to] = forward.words
      const own = zoneOf(from)
      const covered = own === undefined ? [] : own === '.' ? zones : [own]
      const option = (name: string) => forward.block.find(({ words }) => words[0] === name)?.words
      for (const address of to) {
        if (address.startsWith('/')) files.add(address)
        else if (address.includes('{$')) problems.add(`${address} of the Corefile is an environment variable of CoreDNS, which cannot be read`)
        else {
          const read = addressOf(address)
          if (!read) problems.add(`${address.slice(0, 100)} of the Corefile: expected an address, dns://address or tls://address after forward`)
          else for (const zone of covered) {
            const transport = read.tls ? 'dot' : option('force_tcp') ? 'tcp' : 'udp'
            found.set(`${zone} ${transport} ${read.target}`, {
              target: read.target, transport, zone, serverName: read.tls ? option('tls_servername')?.[1] ?? read.serverName : undefined, ownAuthority: (option('tls')?.length ?? 0) > 1,
            })
          }
        }
      }
    }
  }
  return { upstreams: [...found.values()], files: [...files], problems: [...problems] }
}

/** `dns://example.org:5353` is `example.org`; undefined for a network (10.0.0.0/24), whose reverse names are not asked for. */
function zoneOf(key: string): string | undefined {
  const bare = key.replace(/^[a-z]+:\/\//, '').replace(/:\d+$/, '')
  // A snippet is used where it is imported, for all names there.
  if (bare.startsWith('(')) return '.'
  if (bare === '' || bare.includes('/') || bare.includes('{')) return undefined
  return bare === '.' ? '.' : bare.replace(/\.$/, '').toLowerCase()
}

function addressOf(text: string): { readonly target: string, readonly tls: boolean, readonly serverName: string | undefined } | undefined {
  const [, scheme = 'dns', rest = ''] = /^(?:([a-z]+):\/\/)?(.*)$/.exec(text) ?? []
  if (scheme !== 'dns' && scheme !== 'tls') return undefined
  // tls://9.9.9.9%dns.quad9.net; of a link-local address it is the interface, which means nothing elsewhere.
  const [address = '', serverName] = rest.split('%', 2)
  if (serverName !== undefined && scheme === 'dns') return undefined
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(address) ?? []
  const host = isIP(address) === 6 ? address : bracketed ?? plain
  if (host === undefined || isIP(host) === 0) return undefined
  const shown = isIP(host) === 6 ? `[${host}]` : host
  return { target: `${shown}:${port ?? (scheme === 'tls' ? DOT_PORT : '53')}`, tls: scheme === 'tls', serverName }
}

/** Statements of the Caddyfile's syntax: a line is one, braces at its end hold others, `#` begins a comment, quotes hold blanks. */
function parse(text: string): Statement[] {
  const root: Statement[] = []
  const open: Statement[][] = [root]
  let words: string[] = []
  const end = (block: Statement[] = []) => {
    if (words.length > 0) open.at(-1)?.push({ words, block })
    words = []
  }
  for (const { word, quoted, breaks } of lex(text)) {
    if (breaks) end()
    else if (word === '{' && !quoted) {
      const block: Statement[] = []
      end(block)
      open.push(block)
      if (open.length > MOST_DEPTH) throw new Error('the Corefile has braces within braces within braces')
    } else if (word === '}' && !quoted) {
      end()
      if (open.length === 1) throw new Error('the Corefile closes a brace that it has not opened')
      open.pop()
    } else words.push(word)
  }
  end()
  if (open.length > 1) throw new Error('the Corefile ends within braces')
  return root
}

function* lex(text: string): Generator<{ readonly word: string, readonly quoted: boolean, readonly breaks: boolean }> {
  const token = /"((?:[^"\\]|\\[^])*)("?)|#[^\n]*|(\n)|[^\s"][^\s]*/g
  for (const [all, quoted, closed, newline] of text.matchAll(token)) {
    if (quoted !== undefined) {
      if (closed === '') throw new Error('the Corefile ends within quotes')
      yield { word: quoted.replaceAll('\\"', '"'), quoted: true, breaks: false }
    } else if (newline !== undefined) yield { word: '', quoted: false, breaks: true }
    else if (!all.startsWith('#')) yield { word: all, quoted: false, breaks: false }
  }
}
