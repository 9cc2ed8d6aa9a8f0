import type { Spec } from './frame.ts'
import { numberOf } from './numbers.ts'
import { above, bands, buckets, lines, number, YES_IS_GOOD, type Step } from './panels.ts'
import { own } from './promql.ts'

const CHANNEL = '{{channel}}'
const increase = (metric: string, by: string, matchers?: string) => `sum by (${by}) (increase(${own(metric, matchers)}[$__rate_interval]))`
/** Replicas that share an outbox each tell all that is in it: of them the one counts that has most. */
function kept(by: string, matchers?: string): string {
  const [rows, shared] = [own('curlew_notify_outbox_rows', matchers), `on (job, instance) ${own('curlew_notify_shared_store_up')}`]
  return `sum by (${by}) (max by (job, cluster, channel, state) (${rows} and ${shared}) or (${rows} unless ${shared}))`
}
const PENDING: readonly Step[] = above(numberOf('CurlewDeliveriesFailing', 'pending_seconds'))
const FULL: readonly Step[] = above(numberOf('CurlewOutboxFilling', 'ratio'))

export const deliveries: Spec = {
  uid: 'curlew-deliveries', about: 'curlew',
  description: 'Alerts on their way to chat: what came in, what was delivered, what waits and what was given up.',
  sections: [
    { title: 'Now', panels: [
      number({ title: 'Forwarder', description: 'Whether the process that keeps and delivers alerts runs, everywhere.', unit: 'short', mappings: YES_IS_GOOD, queries: [{ expr: `min(${own('curlew_notify_up')})` }] }),
      number({ title: 'Waiting', description: 'Alerts that wait to be delivered.', unit: 'short', queries: [{ expr: kept('', 'state="waiting"') }] }),
      number({ title: 'Oldest', description: 'How long the oldest alert has waited.', unit: 's', steps: PENDING, queries: [{ expr: `max(${own('curlew_notify_oldest_pending_seconds')})` }] }),
      number({ title: 'Dead', description: 'Alerts that were given up and kept: curlew notify dead shows them.', unit: 'short', steps: [[1, 'red']], queries: [{ expr: kept('', 'state="dead"') }] }),
      number({ title: 'Outbox', description: 'How full the outbox is.', unit: 'percentunit', steps: FULL, queries: [{ expr: `max(${own('curlew_notify_outbox_capacity_ratio')})` }] }),
      number({ title: 'Shared store', description: 'Whether the Redis that replicas share can be used; empty without one.', unit: 'short', mappings: YES_IS_GOOD, noValue: 'none', queries: [{ expr: `min(${own('curlew_notify_shared_store_up')})` }] }),
      bands({
        title: 'Forwarder and shared store', unit: 'short', mappings: YES_IS_GOOD, width: 24, height: 5, description: 'Whether the forwarder of each Curlew runs, and can use the Redis that replicas share.',
        queries: [{ expr: own('curlew_notify_up'), legend: '{{instance}} forwarder' }, { expr: own('curlew_notify_shared_store_up'), legend: '{{instance}} shared store' }],
      }),
    ] },
    { title: 'In', panels: [
      lines({ title: 'Requests to the webhook', unit: 'short', min: 0, bars: true, description: 'Requests by the status they were answered with. 401 is the wrong token; 503 has Alertmanager try again.', queries: [{ expr: increase('curlew_notify_requests_total', 'code'), legend: '{{code}}' }] }),
      lines({
        title: 'Alerts in', unit: 'short', min: 0, description: 'Alerts that were taken, those of them that were the same as before, and those that took the place of one that still waited.',
        queries: ['received', 'duplicates', 'merged'].map((what) => ({ expr: `sum(increase(${own(`curlew_notify_${what}_total`)}[$__rate_interval]))`, legend: what })),
      }),
      lines({ title: 'Alerts by channel', unit: 'short', min: 0, bars: true, description: 'Alerts that routing found a channel for and that were written durably.', queries: [{ expr: increase('curlew_notify_persisted_total', 'channel'), legend: CHANNEL }] }),
      lines({ title: 'Look-ups', unit: 'short', min: 0, bars: true, description: 'Questions for the diagnosis of an alert. Without one the message goes out all the same.', queries: [{ expr: increase('curlew_notify_lookups_total', 'result'), legend: '{{result}}' }] }),
    ] },
    { title: 'Out', panels: [
      lines({ title: 'Delivered', unit: 'short', min: 0, bars: true, description: 'Alerts that a chat service has taken.', queries: [{ expr: increase('curlew_notify_deliveries_total', 'channel', 'result="delivered"'), legend: CHANNEL }] }),
      lines({
        title: 'Not delivered', unit: 'short', min: 0, bars: true, description: 'Alerts that will be tried again, were handed to a fallback, or were given up (dead), and why.',
        queries: [{ expr: increase('curlew_notify_deliveries_total', 'channel, result, reason', 'result!="delivered"'), legend: '{{channel}} {{result}} {{reason}}' }],
      }),
      lines({
        title: 'Messages and digests', unit: 'short', min: 0, description: 'Messages that a chat service has taken, and alerts that were put into a digest because the channel was near its limit.',
        queries: [{ expr: increase('curlew_notify_messages_total', 'channel'), legend: '{{channel}} messages' }, { expr: increase('curlew_notify_coalesced_total', 'channel'), legend: '{{channel}} in digests' }],
      }),
      buckets({ title: 'Time to delivery', unit: 's', description: 'From the durable write of an alert to the answer of the chat service.', queries: [{ expr: `sum by (le) (increase(${own('curlew_notify_delivery_seconds_bucket')}[$__rate_interval]))` }] }),
      lines({
        title: 'Time to delivery, 95 of 100', unit: 's', min: 0, log: true, description: 'At most this long 95 of 100 alerts of the last hour took.',
        queries: [{ expr: `histogram_quantile(0.95, sum by (channel, le) (rate(${own('curlew_notify_delivery_seconds_bucket')}[1h])))`, legend: CHANNEL }],
      }),
    ] },
    { title: 'Outbox', panels: [
      lines({ title: 'Oldest that waits', unit: 's', min: 0, steps: PENDING, description: 'How long the oldest alert of each channel has waited. A line that rises at one second a second is a channel that takes nothing.', queries: [{ expr: `max by (channel) (${own('curlew_notify_oldest_pending_seconds')})`, legend: CHANNEL }] }),
      lines({ title: 'Alerts kept', unit: 'short', min: 0, description: 'Alerts in the outbox: waiting, or dead. What replicas share is counted once.', queries: [{ expr: kept('channel, state'), legend: '{{channel}} {{state}}' }] }),
      lines({ title: 'Outbox', unit: 'percentunit', min: 0, max: 1, width: 24, steps: FULL, description: 'How full the outbox is. At 1 the oldest dead alerts give way; without any the webhook answers 503.', queries: [{ expr: own('curlew_notify_outbox_capacity_ratio'), legend: '{{instance}}' }] }),
    ] },
  ],
}
