import { readEntry } from '../../../../src/config/jobs.ts'
import type { Job } from '../../../../src/core/probe.ts'
import type { Found, Source, Watched } from '../../../../src/discover/kubernetes/source.ts'
import { probeTypes } from '../../../../src/probes/index.ts'

/** What a source makes of these objects, by the path of the collection that it watches; one that is not there could not be listed. */
export function findAmong(collections: Readonly<Record<string, readonly unknown[]>>, source: Source, { node }: { readonly node?: string } = {}): ReturnType<Source['find']> {
  return source.find({
    cluster: { name: 'room-a', kubeconfig: '/etc/curlew/room-a', context: 'test' }, several: false, node,
    held<T>({ selection, project }: Watched<T>) {
      return collections[selection.path] && new Map(collections[selection.path]?.flatMap((raw) => {
        const item = project(raw)
        return item === undefined ? [] : [[keyOf(item), item]]
      }))
    },
  })
}

/** The job that a find would become; throws with every mistake. */
export function jobOfFound({ entry }: Found): Job {
  const type = probeTypes.find((one) => one.type === entry.type)
  if (!type) throw new Error(`no type ${entry.type}`)
  const { jobs: [job], issues } = readEntry(type, entry, true)
  if (issues.length > 0 || !job) throw new Error(issues.map(({ path, message }) => `${path.map(String).join('.')}: ${message}`).join('\n'))
  return job
}

/** What an informer keeps an item under. */
function keyOf(item: unknown): string {
  const { name, namespace } = item as { name: string, namespace?: string }
  return namespace === undefined ? name : `${namespace}/${name}`
}
