import { createHash } from 'node:crypto'
import { proxyRules, type Proxy } from '../probes/lib/http-proxy-rules.ts'
import type { Answer, Body, ChannelRequest, ChannelType, Rate, Verdict } from './channel.ts'
import { channelTypes } from './channels/index.ts'
import type { Notice } from './notice.ts'
import type { ChannelConfig } from './options.ts'
import type { WireOptions } from './wire.ts'

/** A channel of the config, with its type's functions tied to its options. */
export interface BoundChannel {
  readonly name: string
  readonly type: string
  readonly rates: readonly Rate[]
  readonly size: ChannelType['size']
  readonly timeoutMs: number
  /** Undefined where the config leaves it to `notify.deadline`. */
  readonly deadlineMs: number | undefined
  /** Hash of what the service counts rates by: channels that share it share the rate. */
  readonly robot: string
  render(notice: Notice): Body
  measure(body: Body): number
  fits(notice: Notice): boolean
  request(body: Body, now: number): ChannelRequest
  verdict(answer: Answer): Verdict
  /** How this URL is reached. */
  way(url: string): Omit<WireOptions, 'allowPrivate'>
  lint(notice: Notice): readonly string[]
}

/** `env` is where `proxy_from_environment` looks. Throws ProbeFailure('http_proxy_setting') when that names no proxy that can be used; its message is a sentence. */
export function bindChannel(config: ChannelConfig, env: NodeJS.ProcessEnv): BoundChannel {
  const type = channelTypes.find((known) => known.type === config.type)
  if (!type) throw new Error(`no channel type ${config.type} is registered`)
  const options = config as never // safe: the schema of the config has parsed it with this type's options
  const choose = proxyRules(config, env)
  const size = { ...type.size, most: config.limits.size ?? type.size.most }
  return {
    name: config.name,
    type: config.type,
    rates: (config.limits.rates?.map(({ messages, per }) => ({ messages, perMs: per })) ?? type.rates).map(({ messages, perMs }) => ({ messages, perMs: withMargin(perMs) })),
    size,
    timeoutMs: config.timeout,
    deadlineMs: config.deadline,
    robot: createHash('sha256').update(`${type.type}\0${type.robot(options)}`).digest('hex').slice(0, 32),
    render: (notice) => type.render(options, notice),
    measure: (body) => type.measure(body),
    fits: (notice) => type.measure(type.render(options, notice)) <= size.most,
    request: (body, now) => type.request(options, body, now),
    verdict: (answer) => type.verdict(answer),
    way: (url) => ({ timeoutMs: config.timeout, proxyUrl: proxyText(choose(new URL(url))), caFile: config.ca_file, certFile: config.cert_file, keyFile: config.key_file }),
    lint: (notice) => type.lint?.(options, notice) ?? [],
  }
}

/** A proxy as Node takes it. */
function proxyText(proxy: Proxy | undefined): string | undefined {
  if (!proxy) return undefined
  const [user = '', ...password] = proxy.credentials?.reveal().split(':') ?? []
  const login = proxy.credentials ? `${encodeURIComponent(user)}:${encodeURIComponent(password.join(':'))}@` : ''
  return `${proxy.tls ? 'https' : 'http'}://${login}${proxy.endpoint.toString()}`
}

/** The service counts by the times at which messages arrive, and the way there takes now longer, now shorter. */
function withMargin(perMs: number): number {
  return Math.ceil(perMs * 1.05) + 50
}
