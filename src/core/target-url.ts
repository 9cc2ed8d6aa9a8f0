/** The URL of a target. */
export interface TargetUrl {
  /** Of the first host, where there are several. */
  readonly url: URL
  /** Every host as it is written, with its port. */
  readonly hosts: readonly string[]
}

/** Up to the hosts, the hosts, and what follows; a login ends with the last `@` before a path, as in `URL`. */
const PARTS = /^([a-z][a-z0-9+.-]*:\/\/(?:[^/?#]*@)?)([^/?#]*)([^]*)$/i

/**
 * Reads a URL, or undefined where the text is none. `URL` itself takes no `h1:1,h2:2`: with `severalHosts` the commas
 * between hosts are ours.
 */
export function parseTargetUrl(text: string, severalHosts = false): TargetUrl | undefined {
  const [, before = '', list = '', after = ''] = severalHosts ? PARTS.exec(text) ?? [] : []
  const hosts = list.split(',')
  const whole = severalHosts ? `${before}${hosts[0]}${after}` : text
  if (!URL.canParse(whole)) return undefined
  const url = new URL(whole)
  return { url, hosts: severalHosts ? hosts : [url.host] }
}

/** The URL as text, with every host, and with what has been changed in `url`. */
export function targetUrlText({ url, hosts }: TargetUrl): string {
  const login = [url.username, url.password].filter((part, index) => index === 0 || part !== '').join(':')
  return `${url.protocol}//${login === '' ? '' : `${login}@`}${hosts.join(',')}${url.pathname}${url.search}${url.hash}`
}
