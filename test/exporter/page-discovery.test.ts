import { describe, expect, it } from 'vitest'
import type { DiscoveryStatus } from '../../src/core/discovery.ts'
import { taint } from '../../src/core/secrets.ts'
import { PAGE_WORDS } from '../../src/exporter/http-words.ts'
import { createOwnMetrics } from '../../src/exporter/own-metrics.ts'
import { escapeHtml } from '../../src/exporter/page.ts'
import { discoverySection } from '../../src/exporter/page-discovery.ts'

const NOW = Date.parse('2026-03-01T12:00:00Z')
const STATUS: DiscoveryStatus = {
  sources: [
    { cluster: 'room', source: 'service', targets: 7, freshAt: NOW - 1_000, trouble: undefined, leftOut: [] },
    { cluster: 'hall', source: 'pod', targets: 3, freshAt: NOW - 90_000, trouble: { trouble: 'unreachable', message: 'connect to <host> with canary-in-a-message', since: NOW - 90_000 }, leftOut: [] },
    { cluster: 'hall', source: 'dns', targets: 0, freshAt: undefined, trouble: { trouble: 'forbidden', message: 'not allowed', since: NOW - 5_000 }, leftOut: [] },
    { cluster: 'hall', source: 'node', targets: 0, freshAt: undefined, trouble: undefined, leftOut: [] },
    {
      cluster: 'hall', source: 'certificates', targets: 2, freshAt: NOW, trouble: undefined,
      leftOut: [{ what: 'secrets', trouble: 'forbidden', message: 'not allowed (403): <why>' }, { what: 'apiservices', trouble: 'not_found', message: 'not found (404)' }],
    },
  ],
  refused: [{ cluster: 'room', object: 'Service shop/<b>', namespace: 'shop', message: 'curlew.dev/port: "x"' }],
  refusedCounts: [{ cluster: 'room', namespace: 'shop', count: 12 }],
  errors: [{ cluster: 'hall', trouble: 'unreachable', count: 4 }],
}

describe('the status page\'s section on discovery', () => {
  it.each([
    ['en', ['Discovery', 'up to date', 'not listed yet', 'the API has not answered as it should for 1m30s; what was listed before stays', 'Curlew\'s role has lacked a right for 5s; nothing is known yet', 'Not probed as asked', 'and 11 more', 'certificates: left out, may not list secrets (not allowed (403): &lt;why&gt;)', 'left out, the API does not have apiservices (']],
    ['zh', ['自动发现', '最新', '尚未列出', 'API 已有 1m30s 未正常应答；沿用', 'Curlew 的角色缺少权限已有 5s；尚无', '未按要求探测', '另有 11 项', 'certificates：已略过，无权列出 secrets (not', 'API 中没有 apiservices (']],
  ] as const)('says in %s where from, how fresh, and what is refused', (language, texts) => {
    taint('canary-in-a-message')
    const html = discoverySection(STATUS, PAGE_WORDS[language], NOW, escapeHtml)
    for (const text of texts) expect(html).toContain(text)
    expect(html).toContain('Service shop/&lt;b&gt;')
    expect(html).toContain('connect to &lt;host&gt; with &lt;secret&gt;')
    expect(html).not.toContain('canary-in-a-message')
  })

  it('says nothing of refusals where there are none', () => {
    expect(discoverySection({ ...STATUS, refused: [], refusedCounts: [] }, PAGE_WORDS.en, NOW, escapeHtml)).not.toContain('Not probed')
  })
})

it('the metrics of discovery are those of now: what is gone has none', async () => {
  const own = createOwnMetrics({ version: '0', types: [], inFlight: () => 0, queued: () => 0, stuck: () => 0 })
  const lines = async () => (await own.registry.metrics()).split('\n').filter((line) => line.startsWith('curlew_discovery_'))
  own.discovered('local', NOW)
  own.setDiscovery(() => STATUS)
  expect(await lines()).toEqual([
    `curlew_discovery_last_success_timestamp_seconds{source="local"} ${NOW / 1000}`,
    `curlew_discovery_last_success_timestamp_seconds{source="kubernetes:room:service"} ${NOW / 1000 - 1}`,
    `curlew_discovery_last_success_timestamp_seconds{source="kubernetes:hall:pod"} ${NOW / 1000 - 90}`,
    // Never read: as old as can be, so that the alert on its age tells of it.
    'curlew_discovery_last_success_timestamp_seconds{source="kubernetes:hall:dns"} 0',
    'curlew_discovery_last_success_timestamp_seconds{source="kubernetes:hall:node"} 0',
    `curlew_discovery_last_success_timestamp_seconds{source="kubernetes:hall:certificates"} ${NOW / 1000}`,
    'curlew_discovery_targets{cluster="room",source="service"} 7', 'curlew_discovery_targets{cluster="hall",source="pod"} 3', 'curlew_discovery_targets{cluster="hall",source="dns"} 0',
    'curlew_discovery_targets{cluster="hall",source="node"} 0', 'curlew_discovery_targets{cluster="hall",source="certificates"} 2',
    'curlew_discovery_refused{cluster="room",namespace="shop"} 12',
    'curlew_discovery_errors_total{cluster="hall",reason="unreachable"} 4',
  ])
  own.setDiscovery(undefined)
  expect(await lines()).toEqual([`curlew_discovery_last_success_timestamp_seconds{source="local"} ${NOW / 1000}`])
})
