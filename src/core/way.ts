import type { Target } from './probe.ts'

/** How TLS is spoken to a target: the options of that name of every probe type that has TLS. */
export interface TlsOptions {
  readonly ca_file?: string | undefined
  readonly cert_file?: string | undefined
  readonly key_file?: string | undefined
  readonly server_name?: string | undefined
  readonly insecure_skip_verify: boolean
  readonly min_version: 'TLS1.0' | 'TLS1.1' | 'TLS1.2' | 'TLS1.3'
  /** Instead of the three files, where their text comes from elsewhere: the credentials of a cluster. */
  readonly pem?: Pem | undefined
}

/** Certificates and a key as PEM text. */
export interface Pem {
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
}

/** A host that a target stands on and how it is reached, for whoever looks at the layers below the probe. */
export interface Way {
  readonly host: string
  /** The one address of the host that is meant. */
  readonly ip?: string | undefined
  readonly ipProtocol: 'any' | 'ip4' | 'ip6'
  readonly port?: number | undefined
  /** Whether the port may be connected to over TCP without a word. */
  readonly connectable: boolean
  /** Where TLS begins with the connection. */
  readonly tls?: TlsOptions | undefined
}

/** What the ways to a target are made of, as most types have it. */
export interface Reached {
  readonly target: Pick<Target, 'host' | 'ip' | 'port'>
  readonly ip_protocol?: Way['ipProtocol']
}

/** The way to a target that is one host, and a TCP port where it has one; none to a target that is not on a network. */
export function wayTo({ target, ip_protocol: ipProtocol = 'any' }: Reached, tls?: TlsOptions, connectable = true): readonly Way[] {
  const { host, ip, port } = target
  return host === undefined ? [] : [{ host, ip, ipProtocol, port, connectable, tls }]
}
