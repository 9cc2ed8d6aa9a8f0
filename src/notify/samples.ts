import type { Alert, Notification } from './alert.ts'
import { MINUTE } from './times.ts'

/** A notification to render without any alert having happened. */
export interface Sample {
  readonly name: string
  readonly notification: Notification
  readonly digest: boolean
}

/** Values that would be mentions, links or markup where they are taken for any. */
const HOSTILE = ['@everyone @all <!channel> <at id=all></at> <@all>', '[x](http://example.com/) <http://example.com/|x> **b** `c` # h', '</font><script>x</script> & "quoted" \\ {{ x }} ${y}', '\u202Ereversed \uD800 👩‍👩‍👧‍👦']

/** One of each kind of message, for one severity. `now` is ms since 1970. */
export function samplesOf(severity: string, now: number): readonly Sample[] {
  let count = 0
  const alert = (labels: Readonly<Record<string, string>>, annotations: Readonly<Record<string, string>>, endsAt?: number): Alert => ({
    status: endsAt === undefined ? 'firing' : 'resolved', labels: { alertname: 'CurlewSample', severity, job: 'curlew', ...labels }, annotations: { runbook_url: 'https://example.com/runbook', ...annotations },
    startsAt: now - 4 * MINUTE, ...endsAt === undefined ? {} : { endsAt }, generatorURL: 'https://prometheus.example.com/graph?g0.expr=up', fingerprint: `sample-${++count}`,
  })
  const sample = (name: string, alerts: readonly Alert[], digest = false): Sample => ({
    name, digest,
    notification: { context: { receiver: 'sample', groupKey: '{}:{}', groupLabels: {}, externalURL: 'https://alertmanager.example.com', truncatedAlerts: 0 }, alerts },
  })
  const several = (many: number) => Array.from({ length: many }, (_, index) => alert({ instance: `node-${index}.example.com:9100`, cluster: 'prod' }, { summary: `Sample ${index}: the disk fills up`, description: 'It will be full in 4 hours.' }))
  return [
    sample('firing', [alert({ instance: 'node-1.example.com:9100' }, { summary: 'The disk fills up.' })]),
    sample('resolved', [alert({ instance: 'node-1.example.com:9100' }, { summary: 'The disk fills up.' }, now)]),
    sample('many', several(40)),
    sample('digest', several(20), true),
    sample('hostile', HOSTILE.map((text) => alert({ instance: text, alertname: text }, { summary: text, description: text, runbook_url: text }))),
    sample('long', [alert({ instance: 'node-1.example.com:9100' }, { description: 'A line of a stack trace, as some rules put it into alerts.\n'.repeat(1_000) })]),
    sample('chinese', [alert({ instance: '节点-1', 机房: '上海' }, { summary: '磁盘空间即将耗尽。', description: '预计 4 小时后写满，请尽快清理或扩容。' })]),
  ]
}
