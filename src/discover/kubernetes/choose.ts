import type { DiscoveryRefusal } from '../../core/discovery.ts'
import { jobName, type Job, type ProbeType } from '../../core/probe.ts'
import { byText } from './names.ts'
import type { Found } from './source.ts'

/** A job, and what it comes from. */
export interface Candidate {
  readonly cluster: string
  readonly source: string
  readonly job: Job
  readonly found: Pick<Found, 'object' | 'namespace' | 'why' | 'guard'>
}

export interface Refusal extends DiscoveryRefusal {
  /** How many it stands for. */
  readonly count: number
}

export interface Limits {
  readonly quota: number
  readonly targets: number
  readonly series: number
  /** Names of the config's probes: theirs alone. */
  readonly config: ReadonlySet<string>
  readonly types: ReadonlyMap<string, ProbeType>
  readonly seriesOf: (job: Job) => number
}

/**
 * Which of the candidates are probed. Of two that are the same probe and target the one of the first object stays; within
 * the limits those that are probed already (`kept`) come first, so that nothing new pushes out what runs.
 */
export function choose(candidates: readonly Candidate[], kept: ReadonlySet<string>, { quota, targets, series, config, types, seriesOf }: Limits): { chosen: Candidate[], refused: Refusal[] } {
  const refused: Refusal[] = []
  const over = new Map<string, Refusal>()
  const unique = new Map<string, Candidate>()
  for (const candidate of candidates.toSorted((a, b) => byText(a.found.object, b.found.object))) {
    const { job, cluster, found: { object, namespace } } = candidate
    const first = unique.get(job.id)
    if (config.has(job.name)) refused.push({ cluster, object, namespace, message: `the config has a probe ${job.name}, which stays`, count: 1 })
    else if (first) refused.push({ cluster, object, namespace, message: `${jobName(job)} is already the probe of ${first.found.object}${first.cluster === cluster ? '' : ` in the cluster ${first.cluster}: put {cluster} into the name`}`, count: 1 })
    else unique.set(job.id, candidate)
  }

  const counts = new Map<string, number>()
  const full = (key: string, most: number) => (counts.get(key) ?? 0) >= most
  const add = (key: string, by = 1) => counts.set(key, (counts.get(key) ?? 0) + by)
  const leaveOut = ({ cluster, found: { namespace } }: Candidate, object: string, message: string) => {
    const key = `${cluster} ${object}`
    over.set(key, { cluster, object, namespace, message, count: (over.get(key)?.count ?? 0) + 1 })
  }
  const all = [...unique.values()]
  const chosen = [...all.filter(({ job }) => kept.has(job.id)), ...all.filter(({ job }) => !kept.has(job.id))].filter((candidate) => {
    const { cluster, job, found: { namespace, guard } } = candidate
    const mine = guard !== undefined && namespace !== undefined ? `namespace ${cluster} ${namespace}` : undefined
    const most = types.get(job.type)?.bounds?.targets ?? Infinity
    const cost = seriesOf(job)
    if (mine !== undefined && full(mine, quota)) leaveOut(candidate, `Namespace ${namespace}`, `more than ${quota} targets: the rest is left out (discovery.kubernetes.quota)`)
    else if (full(`cluster ${cluster}`, targets)) leaveOut(candidate, `cluster ${cluster}`, `more than ${targets} targets: the rest is left out (discovery.kubernetes.targets)`)
    else if (full(`type ${job.type}`, most)) leaveOut(candidate, `type ${job.type}`, `more than ${most} targets of this type: the rest is left out`)
    else if ((counts.get('series') ?? 0) + cost > series) leaveOut(candidate, `cluster ${cluster}`, 'more series than limits.series of the config allows: the rest is left out')
    else {
      if (mine !== undefined) add(mine)
      add(`cluster ${cluster}`)
      add(`type ${job.type}`)
      add('series', cost)
      return true
    }
    return false
  })
  return { chosen, refused: [...refused, ...over.values()] }
}
