import { join } from 'node:path'
import { z } from 'zod'
import { nameOf, root, type Manifest } from './manifests.ts'

const schemaModule = z.object({ validate: z.custom<Validate>((value) => typeof value === 'function') })
type Validate = ((data: unknown) => boolean) & { readonly errors?: readonly { readonly instancePath: string, readonly message?: string, readonly keyword: string, readonly params: unknown }[] | null }

const KUBERNETES = 'kubernetes-models/_schemas/IoK8sApi'
const OPERATOR = '@kubernetes-models/prometheus-operator/_schemas/ComGithubPrometheusOperatorPrometheusOperatorPkgApisMonitoringV1'
const GROUPS: Readonly<Record<string, string>> = {
  'v1': 'CoreV1', 'apps/v1': 'AppsV1', 'batch/v1': 'BatchV1', 'policy/v1': 'PolicyV1', 'networking.k8s.io/v1': 'NetworkingV1',
  'rbac.authorization.k8s.io/v1': 'RbacV1', 'scheduling.k8s.io/v1': 'SchedulingV1',
}

/**
 * What Kubernetes' and the operator's published schemas have against an object. They let fields pass that they do not know,
 * where the API server warns: such a field is one that the schema's validator never looked at.
 */
export async function schemaProblems(object: Manifest): Promise<string[]> {
  const { apiVersion, kind } = object
  const group = GROUPS[apiVersion]
  if (group === undefined && apiVersion !== 'monitoring.coreos.com/v1') return [`${nameOf(object)}: no schema of ${apiVersion} is known`]
  // By file: one of the two packages exports its models only, whose errors say less.
  const specifier = group === undefined ? `${OPERATOR}${kind}` : `${KUBERNETES}${group}${kind}`
  const { validate } = schemaModule.parse(await import(join(root, 'node_modules', `${specifier}.js`)))
  const unread = new Map<object, { readonly path: string, readonly names: Set<string> }>()
  const problems = validate(watched(object, '', unread)) ? [] : (validate.errors ?? []).map(({ instancePath, message, keyword, params }) => `${nameOf(object)}: ${instancePath} ${message ?? `${keyword} ${JSON.stringify(params)}`}`)
  for (const { path, names } of unread.values()) problems.push(...[...names].map((name) => `${nameOf(object)}: ${path}/${name} is not a field`))
  return problems
}

/** The same value, that notes which of its fields nobody has asked for. */
function watched(value: unknown, path: string, unread: Map<object, { path: string, names: Set<string> }>): unknown {
  if (typeof value !== 'object' || value === null) return value
  const fields = new Map(Object.entries(value))
  // Elements of an array are asked for by their number; it is their fields that count.
  const names = new Set(Array.isArray(value) ? [] : fields.keys())
  const copy: object = Array.isArray(value) ? [] : {}
  for (const [name, field] of fields) Object.assign(copy, { [name]: watched(field, `${path}/${name}`, unread) })
  unread.set(copy, { path, names })
  return new Proxy(copy, {
    get(target, name, receiver) {
      if (typeof name === 'string') names.delete(name)
      const field: unknown = Reflect.get(target, name, receiver)
      return field
    },
  })
}
