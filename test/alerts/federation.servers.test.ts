import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { stringify } from 'yaml'
import { federation } from '../../src/alerts/catalogue/federation.ts'
import { groupsOf } from '../../src/alerts/render.ts'
import { readValues } from '../../src/alerts/values.ts'
import { temporaryDirectory } from '../support/process.ts'
import { PROMETHEUSES } from '../support/prometheus.ts'
import { labelsOf } from './promtool.ts'

/** A target as two Curlews see it; what they say is 'first second'. */
function target(name: string, cluster: string, { healthy, root = '0 0', unknown = '0 0', next = '300' }: { healthy: string, root?: string, unknown?: string, next?: string }) {
  return ['curlew-0', 'curlew-1'].flatMap((instance, index) => {
    const labels = labelsOf('cache', 'redis', name, { instance, pod: instance, cluster })
    const series = { probe_healthy: healthy.split(' ')[index], probe_root_cause: root.split(' ')[index], probe_unknown: unknown.split(' ')[index], probe_interval_seconds: '30', probe_next_run_timestamp_seconds: next }
    return Object.entries(series).filter(([, value]) => value !== '-').map(([metric, value]) => ({ series: `${metric}${labels}`, values: `${value}x9` }))
  })
}

it('counts what is to be federated once for each target, by cluster and type', async () => {
  const read = readValues([federation], 'values.yaml', '')
  const [group] = groupsOf([federation], read.values!)
  const directory = temporaryDirectory()
  const labels = (record: string, cluster: string) => `${record}{cluster="${cluster}", job="curlew", type="redis"}`
  const expected: Readonly<Record<string, readonly (readonly [cluster: string, value: number])[]>> = {
    'cluster:curlew_targets:count': [['a', 4], ['b', 1]],
    'cluster:curlew_healthy:ratio': [['a', 0.5], ['b', 1]],
    'cluster:curlew_root_causes:count': [['a', 1], ['b', 0]],
    'cluster:curlew_unknown:count': [['a', 1], ['b', 0]],
    'cluster:curlew_stale:count': [['a', 1], ['b', 0]],
  }
  try {
    writeFileSync(join(directory.path, 'rules.yml'), stringify({ groups: [{ name: 'g', rules: group!.rules }] }))
    writeFileSync(join(directory.path, 'tests.yml'), stringify({
      rule_files: ['rules.yml'], evaluation_interval: '1m',
      tests: [{
        interval: '1m',
        input_series: [
          ...target('well:1', 'a', { healthy: '1 1' }),
          ...target('down:1', 'a', { healthy: '0 0', root: '1 1' }),
          ...target('explained:1', 'a', { healthy: '0 0' }),
          ...target('dark:1', 'a', { healthy: '1 1', unknown: '1 1' }),
          ...target('well:1', 'b', { healthy: '1 0', unknown: '1 0' }),
          { series: 'up{job="curlew",instance="curlew-0"}', values: '1x9' }, { series: 'up{job="curlew",instance="curlew-1"}', values: '0x9' }, { series: 'up{job="other",instance="x"}', values: '1x9' },
        ].filter(({ series }) => !(series.startsWith('probe_unknown') && series.includes('explained'))),
        promql_expr_test: [
          { expr: 'cluster:curlew_up:count', eval_time: '9m', exp_samples: [{ labels: 'cluster:curlew_up:count{job="curlew"}', value: 1 }] },
          ...Object.entries(expected).map(([expr, samples]) => ({ expr, eval_time: '9m', exp_samples: samples.map(([cluster, value]) => ({ labels: labels(expr, cluster), value })) })),
        ],
      }],
    }))
    await promisify(execFile)(PROMETHEUSES[0].promtool, ['test', 'rules', 'tests.yml'], { cwd: directory.path }).catch((error: unknown) => {
      expect.fail(error instanceof Error && 'stdout' in error && 'stderr' in error ? `${String(error.stdout)}${String(error.stderr)}` : String(error))
    })
  } finally {
    directory.remove()
  }
})
