import { describe, expect, it } from 'vitest'
import { diagnosticText } from '../../src/config/document.ts'
import { readConfig } from '../../src/config/load.ts'
import { redact } from '../../src/core/secrets.ts'
import { probeTypes } from '../../src/probes/index.ts'

const read = (text: string) => readConfig([{ file: 'c.yaml', text }], { types: probeTypes, env: { REDIS_PASSWORD: 'canary-of-a-rule' } })
const section = (...lines: string[]) => ['discovery:', '  kubernetes:', ...lines.map((line) => `    ${line}`), ''].join('\n')
const rule = (probe: string, role = 'service') => section('rules:', `  - role: ${role}`, `    probe: ${probe}`)

describe('every mistake in the section discovery has a place and a sentence', () => {
  it.each<[text: string, expected: string | RegExp]>([
    [section('annotation: true'), /^c\.yaml:3:5: discovery\.kubernetes\.annotation: unknown key/],
    [section('annotations: [secret]'), /^c\.yaml:3:5: discovery\.kubernetes\.annotations: expected true or false/],
    [section('clusters: [room]'), 'c.yaml:3:16: discovery.kubernetes.clusters[0]: expected one of kubernetes.clusters: default'],
    [section('namespaces: [Shop]'), 'c.yaml:3:18: discovery.kubernetes.namespaces[0]: expected the name of a namespace'],
    [section('health: [apis]'), /^c\.yaml:3:14: discovery\.kubernetes\.health\[0\]: expected one of "api"/],
    [`discovery: { every: 4s }\n`, 'c.yaml:1:21: discovery.every: expected at least 5s'],
    [`discovery:\n  allow: { reddis: [] }\n`, /^c\.yaml:2:12: discovery\.allow\.reddis: expected one of .*did you mean redis\?$/],
    [`discovery:\n  allow: { redis: [passwrod] }\n`, 'c.yaml:2:20: discovery.allow.redis[0]: expected an option of the type redis; did you mean password?'],
    [`discovery:\n  allow: { redis: [labels] }\n`, /^c\.yaml:2:20: discovery\.allow\.redis\[0\]: expected an option/],
    [rule('{ type: redis, target: "{adress}:1" }'), /^c\.yaml:5:39: discovery\.kubernetes\.rules\[0\]\.probe\.target: unknown placeholder \{adress\}: expected one of \{cluster\}/],
    [rule('{ type: redis, target: "{address}:1", name: "{nmae}" }'), /^c\.yaml:5:\d+: discovery\.kubernetes\.rules\[0\]\.probe\.name: unknown placeholder/],
    [rule('{ type: redis, target: "{address}:1", labels: { team: "{team}" } }'), /^c\.yaml:5:\d+: discovery\.kubernetes\.rules\[0\]\.probe\.labels\.team: unknown placeholder/],
    [rule('{ type: redis, target: "{address}:1", labels: { namespace: x } }'), /^c\.yaml:5:\d+: .*Curlew sets this one$/],
    [rule('{ type: redis, target: "{address}:1", labels: { job: x } }'), /^c\.yaml:5:\d+: .*job is reserved$/],
    [rule('{ type: redis, target: "{address}:{port:a}", dbb: 1 }'), /^c\.yaml:5:\d+: discovery\.kubernetes\.rules\[0\]\.probe\.dbb: unknown key for type redis; did you mean db\?$/],
    [rule('{ type: redis, target: "{address}:1", db: x }'), /^c\.yaml:5:\d+: discovery\.kubernetes\.rules\[0\]\.probe\.db: expected/],
    [rule('{ type: reddis, target: "{address}:1" }'), /^c\.yaml:5:\d+: .*did you mean redis\?$/],
    [rule('{ type: redis }'), /^c\.yaml:5:\d+: discovery\.kubernetes\.rules\[0\]\.probe: target: expected a template such as \{address\}:6379/],
    [rule('{ type: redis, target: "{url}" }'), /^c\.yaml:5:\d+: discovery\.kubernetes\.rules\[0\]\.probe\.target: \{url\}: a service has no such thing$/],
    [rule('{ type: ping, target: "{address}" }', 'node'), /probe: name: \{namespace\}: a node has no such thing$|probe\.name: \{namespace\}: a node has no such thing$/],
    [rule('{ type: redis, targets: [a], target: "{address}:1" }'), /^c\.yaml:5:\d+: .*targets: expected no such key in a rule$/],
    [section('rules: [{ role: service, selector: "app=", probe: { type: redis, target: "{address}:1" } }, { role: service, selector: "app in redis", probe: { type: redis, target: "{address}:1" } }]'), /^c\.yaml:3:\d+: discovery\.kubernetes\.rules\[1\]\.selector: expected a label selector/],
    [`kubernetes: { clusters: [{ name: a, kubeconfig: /k }, { name: b, kubeconfig: /k }] }\n${rule('{ type: redis, target: "{address}:1" }')}`, 'c.yaml:5:15: discovery.kubernetes.rules[0].role: expected ingress or httproute: a service is reached from inside its cluster only, and Curlew is not inside a, b: kubernetes.clusters[].inside'],
  ])('%s', (text, expected) => {
    expect(read(text).diagnostics.map(diagnosticText)).toEqual([typeof expected === 'string' ? expected : expect.stringMatching(expected)])
  })
})

it('needs no section probes, and takes cron in a rule', () => {
  expect(read(section('annotations: true', 'health: [api]')).diagnostics).toEqual([])
  expect(read(rule('{ type: redis, target: "{address}:1", cron: "0 3 * * *" }')).diagnostics).toEqual([])
  expect(read(rule('{ type: http }', 'ingress')).diagnostics).toEqual([])
})

it('takes a rule of any role where Curlew is inside of one of its clusters, and of an Ingress everywhere', () => {
  const clusters = (more: string) => `kubernetes: { clusters: [{ name: a, kubeconfig: /k }, { name: b${more} }] }\n`
  const service = rule('{ type: redis, target: "{address}:1" }')
  expect(read(clusters('') + service).diagnostics).toEqual([])
  expect(read(clusters(', kubeconfig: /k, inside: true') + service).diagnostics).toEqual([])
  expect(read(clusters(', kubeconfig: /k') + rule('{ type: http }', 'ingress')).diagnostics).toEqual([])
  expect(read(clusters(', inside: false') + service).diagnostics).toHaveLength(1)
})

it('hides what is secret in a rule', () => {
  const { config } = read(rule('{ type: redis, target: "{address}:1", password: in-plain-sight }'))
  expect(config?.shown).toContain('<secret>')
  expect(config?.shown).not.toContain('in-plain-sight')
})

it('hides nothing of where an agent stands and what it is labelled with, though it came by the environment', () => {
  const { diagnostics } = readConfig([{
    file: 'c.yaml', text: [
      'instance_id: "${NODE}"', 'labels: { source_cluster: "${CLUSTER}" }', 'mesh: { listen: "${ADDRESS}:9798" }', 'kubernetes:', '  node: "${NODE}"',
      '  clusters: [{ name: "${CLUSTER}-b", kubeconfig: "/etc/${FILE}" }]', 'discovery: { kubernetes: { health: [host], namespaces: ["${NAMESPACE}"] } }', '',
    ].join('\n'),
  }], { types: probeTypes, env: { NODE: 'worker-17', CLUSTER: 'room-17', ADDRESS: '10.0.0.17', FILE: 'seventeen.kubeconfig', NAMESPACE: 'shop-17' } })
  expect(diagnostics).toEqual([])
  const said = 'worker-17 of room-17 at 10.0.0.17 by seventeen.kubeconfig in shop-17'
  expect(redact(said)).toBe(said)
})
