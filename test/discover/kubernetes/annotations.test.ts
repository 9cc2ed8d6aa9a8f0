import { describe, expect, it } from 'vitest'
import { readAnnotations, type AnnotationRules } from '../../../src/discover/kubernetes/annotations.ts'
import { readFound } from '../../../src/config/discovery.ts'
import type { Seen } from '../../../src/discover/kubernetes/objects.ts'
import { DEFAULT_ALLOW } from '../../../src/discover/kubernetes/options.ts'
import { createEntries } from '../../../src/discover/kubernetes/read.ts'
import { probeTypes } from '../../../src/probes/index.ts'

const types = new Map(probeTypes.map((type) => [type.type, type]))
const RULES: AnnotationRules = { types, allow: DEFAULT_ALLOW, leastEveryMs: 5_000, secrets: true, domain: 'cluster.local', cluster: undefined }

const seen = (annotations: Record<string, string>, over: Partial<Seen> = {}): Seen => ({
  namespace: 'shop', name: 'redis', labels: {}, ports: [{ name: 'redis', port: 6379 }], places: [{ host: 'redis.shop.svc.cluster.local' }],
  annotations: Object.fromEntries(Object.entries(annotations).map(([key, value]) => [`curlew.dev/${key}`, value])), ...over,
})

/** What becomes of annotations: the jobs' targets, and every sentence. */
async function made(annotations: Record<string, string>, over: Partial<Seen> = {}, rules: Partial<AnnotationRules> = {}) {
  const { found, refused } = readAnnotations('Service', seen(annotations, over), { ...RULES, ...rules })
  const entries = createEntries((entry) => readFound(types.get(entry.type)!, entry), types)
  entries.begin()
  const outcomes = await Promise.all(found.map((one) => entries.read(one, { labels: {}, dependsOn: [], login: undefined })))
  return {
    jobs: outcomes.flatMap((outcome) => ('jobs' in outcome ? outcome.jobs : [])),
    problems: [...refused.map(({ message }) => message), ...outcomes.flatMap((outcome) => ('problem' in outcome ? [outcome.problem] : []))],
    found,
  }
}

it('a scheme sets no option that may not be set, and no annotation makes a target of each address', async () => {
  expect((await made({ probe: 'redis', scheme: 'rediss' }, {}, { allow: { redis: [] } })).problems).toEqual(['target: it sets tls, which discovery.allow does not name'])
  expect((await made({ probe: 'redis', scheme: 'rediss' }, {}, { allow: { redis: ['tls'] } })).problems).toEqual([])
  expect((await made({ probe: 'redis', options: '{"addresses": "each"}' }, {}, { allow: { redis: ['addresses'] } })).problems).toEqual([expect.stringContaining('each is for probes of the config')])
})

describe('an annotation makes a probe', () => {
  it('of the object\'s address and only port, read-only, once a minute', async () => {
    const { jobs, problems } = await made({ probe: 'redis' })
    expect(problems).toEqual([])
    expect(jobs).toMatchObject([{ name: 'shop_redis', type: 'redis', target: 'redis.shop.svc.cluster.local:6379', mode: 'read-only', schedule: { everyMs: 60_000 }, discovered: true }])
  })

  it.each<[what: string, annotations: Record<string, string>, over: Partial<Seen>, target: string]>([
    ['a port by its number', { probe: 'redis', port: '7000' }, {}, 'redis.shop.svc.cluster.local:7000'],
    ['a port by its name', { probe: 'tcp', port: 'b' }, { ports: [{ name: 'a', port: 1 }, { name: 'b', port: 2 }] }, 'redis.shop.svc.cluster.local:2'],
    ['a path', { probe: 'http', path: '/health' }, { ports: [{ name: undefined, port: 8080 }] }, 'http://redis.shop.svc.cluster.local:8080/health'],
    ['a scheme', { probe: 'http', scheme: 'https', port: '8443' }, {}, 'https://redis.shop.svc.cluster.local:8443/'],
    ['no port for a type that takes none', { probe: 'ping' }, { ports: [{ name: 'a', port: 1 }, { name: 'b', port: 2 }] }, 'redis.shop.svc.cluster.local'],
    ['the type\'s own port where the object has none', { probe: 'redis' }, { ports: [] }, 'redis.shop.svc.cluster.local:6379'],
    ['brackets around IPv6', { probe: 'redis' }, { places: [{ host: 'fd00::1' }] }, '[fd00::1]:6379'],
    ['the URL of an Ingress', { probe: 'http' }, { places: [{ host: 'shop.example.org', scheme: 'https', path: '/cart', foreign: true }], ports: [] }, 'https://shop.example.org/cart'],
    ['the port of an Ingress for a type without URLs', { probe: 'tcp' }, { places: [{ host: 'shop.example.org', scheme: 'https', path: '/', foreign: true }], ports: [] }, 'shop.example.org:443'],
  ])('%s', async (_what, annotations, over, target) => {
    const { jobs, problems } = await made(annotations, over)
    expect(problems).toEqual([])
    expect(jobs.map((job) => job.target)).toEqual([target])
  })

  it('options as JSON and as YAML', async () => {
    for (const options of ['{"status": [204], "marker": "${HOME}"}', 'status: [204]\nmarker: ${HOME}']) {
      const { jobs, found, problems } = await made({ probe: 'http', options })
      expect(problems).toEqual([])
      expect(jobs).toHaveLength(1)
      // Nothing is put in for `${}`: it is a text like any other.
      expect(found[0]?.entry).toMatchObject({ status: [204], marker: '${HOME}', follow_redirects: false })
    }
  })

  it('several of one object, each with its suffix; a mistake in one costs no other', async () => {
    const { jobs, problems } = await made({ 'probe': 'redis', 'probe.metrics': 'http', 'port.metrics': '9121', 'path.metrics': '/metrics', 'probe.bad': 'nonsense' })
    expect(jobs.map(({ name, target }) => [name, target])).toEqual([['shop_redis', 'redis.shop.svc.cluster.local:6379'], ['shop_redis-metrics', 'http://redis.shop.svc.cluster.local:9121/metrics']])
    expect(problems).toEqual([expect.stringMatching(/^curlew\.dev\/probe\.bad: expected one of /)])
  })

  it('a name server is asked for localhost, and MySQL is not touched without a login', async () => {
    expect((await made({ probe: 'dns', port: '53' })).found[0]?.entry).toMatchObject({ query: 'localhost.', rcode: 'any' })
    expect((await made({ probe: 'dns', port: '53', options: '{"query": "shop.example.org"}' })).found[0]?.entry).not.toHaveProperty('rcode')
    expect((await made({ probe: 'mysql' })).found[0]?.entry).toMatchObject({ login: false })
    expect((await made({ probe: 'mysql', secret: 'login' })).found[0]).toMatchObject({ secret: 'login', entry: expect.not.objectContaining({ login: false }) as object })
  })

  it('at each address, with its node', async () => {
    const { jobs, found } = await made({ probe: 'redis' }, { places: [{ host: '10.0.0.1', node: 'a' }, { host: '10.0.0.2', node: 'b' }] })
    expect(jobs.map(({ target }) => target)).toEqual(['10.0.0.1:6379', '10.0.0.2:6379'])
    expect(found.map(({ node }) => node)).toEqual(['a', 'b'])
  })

  it('names itself after its cluster where there are several', async () => {
    const { jobs } = await made({ probe: 'redis' }, {}, { cluster: 'Room.A' })
    expect(jobs[0]?.name).toBe('room-a_shop_redis')
  })
})

describe('a wrong annotation is told, and nothing is probed', () => {
  it.each<[annotations: Record<string, string>, sentence: RegExp]>([
    [{ probe: 'reddis' }, /^curlew\.dev\/probe: expected one of .*; did you mean redis\?$/],
    [{ probe: 'traceroute' }, /^curlew\.dev\/probe: expected one of .*discovery\.allow/],
    [{ probe: 'constructor' }, /^curlew\.dev\/probe: expected one of /],
    [{ probe: '' }, /^curlew\.dev\/probe: expected one of /],
    [{ port: '1' }, /^curlew\.dev\/probe: .*the key is missing$/],
    [{ probe: 'redis', prot: '1' }, /^curlew\.dev\/prot: unknown annotation.*; expected one of probe, port, /],
    [{ probe: 'redis', port: '0' }, /^curlew\.dev\/port: expected a number from 1 to 65535 or one of redis$/],
    [{ probe: 'redis', port: '99999' }, /^curlew\.dev\/port: /],
    [{ probe: 'redis', port: 'http' }, /^curlew\.dev\/port: /],
    [{ probe: 'redis', port: '1@evil.example' }, /^curlew\.dev\/port: /],
    [{ probe: 'http', path: 'health' }, /^curlew\.dev\/path: /],
    [{ probe: 'http', path: '/a?token=1' }, /^curlew\.dev\/path: /],
    [{ probe: 'http', path: '/${HOME}' }, /^curlew\.dev\/path: /],
    [{ probe: 'http', scheme: 'ftp' }, /^curlew\.dev\/scheme: expected one of http, https$/],
    [{ probe: 'redis', scheme: 'redis', path: '/x' }, /target: /],
    [{ probe: 'redis', every: '4s' }, /^curlew\.dev\/every: expected at least 5 s/],
    [{ probe: 'redis', every: 'often' }, /^curlew\.dev\/every: expected a duration/],
    [{ probe: 'redis', timeout: '90s' }, /^curlew\.dev\/timeout: expected at most 30 s$/],
    [{ probe: 'redis', timeout: 'x' }, /^curlew\.dev\/timeout: /],
    [{ probe: 'redis', options: '{' }, /^curlew\.dev\/options: not valid YAML/],
    [{ probe: 'redis', options: '[1]' }, /^curlew\.dev\/options: expected a mapping/],
    [{ probe: 'redis', options: '&a {db: [*a]}' }, /^curlew\.dev\/options: /],
    [{ probe: 'redis', options: `db: [${'1,'.repeat(2_100)}]` }, /^curlew\.dev\/options: expected at most 4096 characters$/],
    [{ probe: 'redis', options: '{"db": "x"}' }, /^db: expected /],
    [{ probe: 'redis', name: 'x'.repeat(600) }, /^curlew\.dev\/name: expected at most 512 characters$/],
    [{ probe: 'redis', name: 'other_redis' }, /^curlew\.dev\/name: expected lower-case letters/],
    [{ probe: 'redis', secret: '../other/secret' }, /^curlew\.dev\/secret: expected the name of a Secret of the same namespace$/],
    [{ probe: 'redis', secret: 'other/secret' }, /^curlew\.dev\/secret: /],
    [{ 'probe': 'redis', 'depends-on': 'a b' }, /^curlew\.dev\/depends-on: /],
    [{ 'probe': 'redis', 'depends-on': Array.from({ length: 11 }, (_, index) => `a${index}`).join(',') }, /^curlew\.dev\/depends-on: expected at most 10/],
    [{ 'probe.Über': 'redis' }, /expected lower-case letters, digits and - after the point/],
  ])('%j', async (annotations, sentence) => {
    const { jobs, problems } = await made(annotations)
    expect(jobs).toEqual([])
    expect(problems).toEqual([expect.stringMatching(sentence)])
  })

  it('no Secret unless the operator allows it, and none of a node', async () => {
    expect((await made({ probe: 'redis', secret: 'login' }, {}, { secrets: false })).problems).toEqual([expect.stringContaining('discovery.kubernetes.secrets is off')])
    expect((await made({ probe: 'redis', secret: 'login' }, { namespace: undefined })).problems).toEqual([expect.stringContaining('in no namespace')])
  })

  it('which port, where the object has several', async () => {
    expect((await made({ probe: 'redis' }, { ports: [{ name: 'a', port: 1 }, { name: 'b', port: 2 }] })).problems).toEqual(['curlew.dev/port: the object has several: expected one of a, b'])
  })

  it('more probes than one object may have', async () => {
    const { jobs, problems } = await made(Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`probe.p${index}`, 'redis'])))
    expect(jobs).toHaveLength(10)
    expect(problems).toEqual(['expected at most 10 probes of one object, there are 12'])
  })

  it.each([
    ['an ExternalName', { host: 'vault.security.svc.cluster.local', foreign: true as const }],
    ['a name inside the cluster', { host: 'vault.security.svc.cluster.local', scheme: 'https' as const, path: '/', foreign: true as const }],
    ['a short name inside the cluster', { host: 'vault.security.svc', scheme: 'https' as const, path: '/', foreign: true as const }],
    ['an address', { host: '169.254.169.254', scheme: 'http' as const, path: '/', foreign: true as const }],
    ['a name without a point', { host: 'localhost', scheme: 'http' as const, path: '/', foreign: true as const }],
  ])('%s, which its author chose freely', async (_what, place) => {
    const { jobs, problems } = await made({ probe: 'http' }, { places: [place] })
    expect(jobs).toEqual([])
    expect(problems).toEqual([expect.stringContaining('may be anywhere')])
  })
})

it.each(['Ingress', 'HTTPRoute'])('the annotations of an %s that another source reads are no mistake of a probe', (kind) => {
  const { found, refused } = readAnnotations(kind, seen({ 'path': '/health', 'backend-path': '/ready' }), RULES)
  expect([found, refused]).toEqual([[], []])
})

describe('the usual list of what annotations may ask for', () => {
  it('names types and options that there are', () => {
    for (const [name, options] of Object.entries(DEFAULT_ALLOW)) {
      const shape = types.get(name)?.options.shape
      expect(shape, name).toBeDefined()
      for (const option of options) expect(Object.keys(shape!), name).toContain(option)
    }
  })

  it('reads no file, holds no secret, leads nowhere else, writes nothing and sends nothing', () => {
    const banned = /_file$|^root$|^served$|^preset$|password|secret|token|auth|proxy|^follow|^mode$|^send$|^body$|^headers$|^query$|method|key_prefix|^addresses$|heartbeat|^prepare$/
    for (const [name, options] of Object.entries(DEFAULT_ALLOW)) {
      expect(options.filter((option) => banned.test(option) && !(name === 'dns' && option === 'query')), name).toEqual([])
    }
  })

  it.each(probeTypes.flatMap(({ type, options }) => Object.keys(options.shape).filter((option) => option !== 'target' && !(DEFAULT_ALLOW[type] ?? []).includes(option)).map((option) => [type, option] as const)))('%s: not %s', async (probe, option) => {
    const { jobs, problems } = await made({ probe, options: JSON.stringify({ [option]: 'x' }) })
    expect(jobs).toEqual([])
    expect(problems).toHaveLength(1)
  })
})
