import { dns } from '../../src/alerts/catalogue/dns.ts'
import { alertContract, labelsOf, type Case } from './promtool.ts'

const SERVERS = ['10.0.0.1:53', '10.0.0.2:53', '10.0.0.3:53'] as const
const [FIRST, SECOND, THIRD] = SERVERS
const alertOf = (target: string) => ({ job: 'curlew', probe: 'names', type: 'dns', target })
const DIFFERING = { job: 'curlew', probe: 'names' }

const labels = (target: string, more = '', instance = 'curlew-0:9797', type = 'dns') => labelsOf('names', type, target, { instance }).replace('}', `${more}}`)
const interval = (every: number, targets: readonly string[] = SERVERS, instance?: string) =>
  Object.fromEntries(targets.map((target) => [`probe_interval_seconds${labels(target, '', instance)}`, `${every}x1000`]))

/** Counters a minute. */
function runs(failed: string, ok: string, { every = 5, instance, type }: { every?: number, instance?: string, type?: string } = {}): Record<string, string> {
  const of = (result: string) => `probe_runs_total${labels(FIRST, `,result="${result}"`, instance, type)}`
  return { [of('failed')]: failed, [of('ok')]: ok, [of('unknown')]: '0x1000', [`probe_interval_seconds${labels(FIRST, '', instance, type)}`]: `${every}x1000` }
}

/** What a question took at each server; `good` is whether the last one says that the runs succeed. */
function took(times: readonly string[], { every = 5, good = '1x1000' } = {}): Record<string, string> {
  return Object.assign(interval(every), ...times.map((values, index) => ({
    [`probe_dns_duration_seconds${labels(SERVERS[index]!, ',phase="request"')}`]: values,
    [`probe_success${labels(SERVERS[index]!)}`]: index === times.length - 1 ? good : '1x1000',
  }))) as Record<string, string> // safe: all of them are
}

function hashes(values: readonly string[], every = 5, instance?: string): Record<string, string> {
  return {
    ...interval(every, SERVERS.slice(0, values.length), instance),
    ...Object.fromEntries(values.map((value, index) => [`probe_dns_answer_hash${labels(SERVERS[index]!, '', instance)}`, value])),
  }
}

/** Cases at each pace: `[seconds, whether it fires]`. */
const paces = (of: readonly (readonly [number, boolean])[], make: (every: number) => Omit<Case, 'kind' | 'what' | 'fires'> & { what: string }, fires: Case['fires']): Case[] =>
  of.map(([every, does]) => ({ ...make(every), kind: does ? 'fires' : 'quiet', what: `${make(every).what}, every ${every} s`, fires: does ? fires : [] }))

alertContract(dns, {
  DnsServerFailing: [
    ...paces([[5, true], [60, true], [3_600, false], [86_400, false]], (every) => ({ what: 'a fifth of the runs', series: runs('0+2x60', '0+8x60', { every }), at: '12m' }), [alertOf(FIRST)]),
    {
      kind: 'fires', what: 'failures that no scrape saw, with numbers', series: { ...runs('0+3x60', '0+9x60'), [`probe_failure_info${labels(FIRST, ',layer="request",reason="timeout"')}`]: '1x60' }, at: '20m', fires: [alertOf(FIRST)],
      says: { summary: 'names 10.0.0.1:53 fails to answer some questions', description: 'The name server names 10.0.0.1:53 failed 25% of the runs of the last 10 minutes (request/timeout). It may look healthy in between; who asks it waits for a timeout, or gets an error, so often.' },
    },
    { kind: 'fires', what: 'through a restart that begins the counters anew', series: runs('2+2x20 _ 0+2x30', '8+8x20 _ 0+8x30'), at: '26m', fires: [alertOf(FIRST)] },
    { kind: 'fires', what: 'as several Curlews together see it', series: { ...runs('0+1x60', '0+11x60'), ...runs('0+2x60', '0+10x60', { instance: 'curlew-1:9797' }) }, at: '20m', fires: [alertOf(FIRST)] },
    { kind: 'quiet', what: 'one failure, be it a fifth', series: runs('0x10 1x60', '0 1 2 3 4 4x60', { every: 60 }), at: '12m', fires: [] },
    { kind: 'quiet', what: 'unknown runs', series: { ...runs('0x60', '0+2x60'), [`probe_runs_total${labels(FIRST, ',result="unknown"')}`]: '0+10x60' }, at: '20m', fires: [] },
    { kind: 'quiet', what: 'another type', series: runs('0+3x60', '0+9x60', { type: 'redis' }), at: '20m', fires: [] },
    { kind: 'boundary', what: 'just a tenth', series: runs('0+1x60', '0+9x60'), at: '20m', fires: [alertOf(FIRST)] },
    { kind: 'boundary', what: 'just less', series: runs('0+10x60', '0+91x60'), at: '20m', fires: [] },
  ],
  DnsServerSlow: [
    ...paces([[5, true], [60, true], [3_600, false], [86_400, false]], (every) => ({ what: 'ten times its peers', series: took(['0.01x60', '0.01x60', '0.1x60'], { every }), at: '12m' }), [alertOf(THIRD)]),
    {
      kind: 'fires', what: 'with numbers', series: took(['0.01x60', '0.02x60', '0.15x60']), at: '15m', fires: [alertOf(THIRD)],
      says: { summary: 'names 10.0.0.3:53 answers slower than its peers', description: 'The name server names 10.0.0.3:53 takes 150ms for an answer in the mean of 10 minutes, more than 3 times what the other servers of the probe take. The question is the same: look at this server, its upstreams and the way to it.' },
    },
    { kind: 'fires', what: 'one of two, through a restart', series: took(['0.01x12 _ _ 0.01x60', '0.1x12 _ _ 0.1x60']), at: '14m', fires: [alertOf(SECOND)] },
    { kind: 'quiet', what: 'the only server', series: took(['0.5x60']), at: '20m', fires: [] },
    { kind: 'quiet', what: 'all of them', series: took(['0.5x60', '0.5x60', '0.5x60']), at: '20m', fires: [] },
    { kind: 'quiet', what: 'below the floor', series: took(['0.001x60', '0.001x60', '0.019x60']), at: '20m', fires: [] },
    { kind: 'quiet', what: 'the time of runs that failed', series: took(['0.01x60', '0.01x60', '2x60'], { good: '0x60' }), at: '20m', fires: [] },
    { kind: 'quiet', what: 'the time of unknown runs', series: took(['0.01x60', '0.01x60', '2x60'], { good: '_x60' }), at: '20m', fires: [] },
    { kind: 'boundary', what: 'just three times', series: took(['0.0625x60', '0.0625x60', '0.1875x60']), at: '20m', fires: [] },
    { kind: 'boundary', what: 'a little more', series: took(['0.0625x60', '0.0625x60', '0.19x60']), at: '20m', fires: [alertOf(THIRD)] },
    { kind: 'boundary', what: 'not for ten minutes yet', series: took(['0.01x60', '0.01x60', '0.1x60']), at: '9m', fires: [] },
  ],
  DnsAnswersDiffer: [
    ...paces([[5, true], [60, true], [86_400, false]], (every) => ({ what: 'one of three says something else', series: hashes(['7x100', '7x100', '8x100'], every), at: '12m' }), [DIFFERING]),
    { kind: 'fires', what: 'every 3600 s', every: '5m', series: hashes(['7x100', '8x100'], 3_600), at: '4h', fires: [DIFFERING] },
    {
      kind: 'fires', what: 'with their hashes', series: hashes(['1111111111x60', '4294967295x60']), at: '15m', fires: [DIFFERING],
      says: { summary: 'The name servers of names give different answers', description: 'The servers of the probe names are asked the same and say different things, as 1 Curlew(s) see it: 10.0.0.1:53 (1111111111), 10.0.0.2:53 (4294967295). Servers with the same number agree. One of them has old data, or answers from another zone.' },
    },
    { kind: 'fires', what: 'through a restart', series: hashes(['7x12 _ _ 7x60', '8x12 _ _ 8x60']), at: '15m', fires: [DIFFERING] },
    { kind: 'quiet', what: 'they agree', series: hashes(['7x60', '7x60', '7x60']), at: '20m', fires: [] },
    { kind: 'quiet', what: 'one does not answer', series: hashes(['7x60', '_x60']), at: '20m', fires: [] },
    { kind: 'quiet', what: 'parts of one pool, in turn', series: hashes(['7 8 9 7 8 9 7 8 9 7 8 9 7 8 9 7 8 9 7 8 9', '9 7 8 9 7 8 9 7 8 9 7 8 9 7 8 9 7 8 9 7 8']), at: '20m', fires: [] },
    { kind: 'quiet', what: 'each Curlew is told something else, by all of them', series: { ...hashes(['7x60', '7x60']), ...hashes(['8x60', '8x60'], 5, 'curlew-1:9797') }, at: '20m', fires: [] },
    { kind: 'quiet', what: 'an hourly probe in the middle of a change', every: '5m', series: hashes(['7x48 8x40', '7x60 8x40'], 3_600), at: '4h30m', fires: [] },
    { kind: 'boundary', what: 'not for ten minutes yet', series: hashes(['7x60', '8x60']), at: '9m', fires: [] },
    { kind: 'boundary', what: 'for ten minutes', series: hashes(['7x60', '8x60']), at: '10m', fires: [DIFFERING] },
  ],
})
