import type { Fake } from '../notify/fakes/fake.ts'
import { channelTypes } from '../../src/notify/channels/index.ts'
import { notifySchema, type NotifyConfig } from '../../src/notify/options.ts'

const [first] = channelTypes

/** Channels of some type, for tests to which it does not matter which. */
export function someChannels(...names: string[]): object[] {
  return names.map((name) => ({ name, type: first!.type, ...first!.example }))
}

/** A section `notify` with the channels a, b and c. */
export function notifyConfig(section: object): NotifyConfig {
  return notifySchema.parse({ token: 'a-token-for-tests', channels: someChannels('a', 'b', 'c'), routes: [{ channel: 'a' }], ...section })
}

/** Of the webhook. */
export const TOKEN = 'token-of-the-webhook-0123456789'

/** A firing alert as Alertmanager posts it. */
export function firing(name: string, labels: object = {}): object {
  return { status: 'firing', labels: { alertname: name, severity: 'critical', ...labels }, annotations: { summary: `${name} broke` }, startsAt: new Date().toISOString(), endsAt: '0001-01-01T00:00:00Z' }
}

/** Posts a notification to a Curlew, with the token. */
export function postAlerts(url: string, ...alerts: readonly object[]): Promise<Response> {
  return fetch(`${url}/webhook/alertmanager`, {
    method: 'POST', headers: { authorization: `Bearer ${TOKEN}` }, signal: AbortSignal.timeout(5_000),
    body: JSON.stringify({ version: '4', receiver: 'r', status: 'firing', groupKey: '{}', groupLabels: {}, commonLabels: {}, commonAnnotations: {}, externalURL: 'http://am', truncatedAlerts: 0, alerts }),
  })
}

/** Everything that a fake has taken. */
export function textOf({ messages }: Fake): string {
  return messages.map(({ body }) => JSON.stringify(body)).join('\n')
}
