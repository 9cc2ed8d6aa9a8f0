import { z } from 'zod'
import { validateDetailed } from 'node-cron'
import { duration } from '../core/fields.ts'
import type { ProbeType } from '../core/probe.ts'
import { discoverySchema } from '../discover/kubernetes/options.ts'
import { kubernetesSchema } from '../kubernetes/options.ts'
import { meshSchema } from '../mesh/options.ts'

/** Labels that Curlew, Prometheus or the shipped rules give a meaning to. */
export const RESERVED_LABELS: ReadonlySet<string> = new Set([
  'job', 'instance', 'probe', 'type', 'target', 'layer', 'reason', 'result', 'phase', 'le', 'root', 'severity', 'scope', 'alertname',
])

export const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/

const labelName = z.string()
  .regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/, 'expected a label name: letters, digits and _')
  .refine((name) => !name.startsWith('__') && !RESERVED_LABELS.has(name), {
    error: (issue) => `expected another label name: ${String(issue.input)} is reserved`,
  })

export const labels = () => z.record(labelName, z.string('expected a text; put the value in quotes')).describe('added to every series of the probe')

const timezone = () => z.string()
  .refine((zone) => { try { return Boolean(new Intl.DateTimeFormat('en', { timeZone: zone })) } catch { return false } }, 'expected a time zone such as Europe/Berlin')
  .describe('time zone of cron, IANA name; the local one unless given')

const cron = () => z.string()
  .refine((text) => validateDetailed(text).valid, {
    error: (issue) => `expected a cron expression such as "0 3 * * *": ${validateDetailed(String(issue.input)).errors.map((e) => e.message).join('; ')}`,
  })
  .meta({ examples: ['0 3 * * *'] })

const threshold = () => z.int('expected a whole number').min(1, 'expected at least 1').max(100, 'expected at most 100')
const level = () => z.strictObject({ warning: z.number().optional(), critical: z.number().optional() })
  .refine((limit) => limit.warning !== undefined || limit.critical !== undefined, 'expected warning, critical or both')

/** What `defaults:` may set and every entry may override. */
const scheduling = {
  every: duration().describe('time between two runs').optional(),
  timeout: duration().describe('longest run; 5s or `every`, whichever is shorter, unless given').optional(),
  timezone: timezone().optional(),
  failure_threshold: threshold().describe('failed runs in a row until probe_healthy is 0; 3, or 1 for probes slower than a minute, unless given').optional(),
  success_threshold: threshold().describe('good runs in a row until probe_healthy is 1 again; 1 unless given').optional(),
  mode: z.enum(['read-only', 'read-write']).describe('read-only probes never write to the target; read-write unless given').optional(),
  histogram: z.boolean().describe('export probe_latency_seconds').optional(),
}

export const defaultsSchema = z.strictObject(scheduling)

/** The keys of every probe entry. */
export const commonShape = {
  name: z.string('expected a name').regex(NAME, 'expected a name of lower-case letters, digits, - and _').describe('unique; the `probe` label'),
  ...scheduling,
  cron: cron().describe('instead of `every`: minute hour day month weekday').optional(),
  run_at_start: z.boolean().describe('whether a cron probe also runs once soon after a start; true unless given').optional(),
  depends_on: z.array(z.union([
    z.string().min(1),
    z.strictObject({ probe: z.string().min(1), remote: z.boolean().default(false) }),
  ])).describe('probes whose failure explains this one: `name`, `name/target`, or {probe, remote: true} for one in another process').default([]),
  labels: labels().default({}),
  limits: z.record(z.string(), level()).describe('levels to export as probe_threshold').default({}),
  fail_on: z.array(z.string()).describe('levels of `limits` that fail the run').default([]),
}

export const commonSchema = z.object(commonShape)
export type Common = z.output<typeof commonSchema>
export type Defaults = z.output<typeof defaultsSchema>

/** The top of the file, without `probes`, which is read entry by entry. */
export const topShape = {
  instance_id: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'expected letters, digits, ., _ and -').describe('unique to this prober: part of every key it writes; the name of the pod (POD_NAME), else of the host, unless given').optional(),
  defaults: defaultsSchema.default({}),
  labels: labels().default({}),
  limits: z.strictObject({
    concurrency: z.int().min(1).max(10_000).default(200).describe('runs at a time'),
    series: z.int().min(1).default(500_000).describe('series that a process may make: where there are shards, so many of each'),
    loop_delay: duration().prefault('500ms').describe('a result measured while the event loop was later than this is unknown'),
  }).prefault({}),
  web: z.strictObject({
    public_status: z.boolean().default(false).describe('serve /, /api and /config beyond loopback without authentication'),
  }).prefault({}),
  kubernetes: kubernetesSchema.describe('the clusters that Curlew looks at, and how it runs in one').optional(),
  discovery: discoverySchema.describe('finds targets by itself').optional(),
  mesh: meshSchema.describe('answers the probes of type mesh of other nodes').optional(),
}

export const topSchema = z.strictObject({ $schema: z.string().optional(), ...topShape })
export type Top = z.output<typeof topSchema>

/** One entry of `probes:` as an editor sees it. */
function entrySchema(type: ProbeType) {
  const { target, ...options } = type.options.shape
  const text = z.string().describe(target.description ?? `a target of type ${type.type}`)
  return z.strictObject({
    // The target may be a URL, which can hold any of them.
    ...commonShape, ...z.object(options).partial().shape,
    type: z.literal(type.type),
    target: text.optional(),
    targets: z.array(text).min(1).optional(),
  }).meta({ title: type.type, description: type.summary })
}

/** Lets `${}` stand where no plain text may, and takes RE2's syntax for no mistake: `regex` means JavaScript's to editors. */
function asWritten({ jsonSchema, path }: { jsonSchema: z.core.JSONSchema.BaseSchema, path: readonly PropertyKey[] }): void {
  if (jsonSchema.format === 'regex') delete jsonSchema.format
  const { type, title: _title, description: _description, default: _default, examples: _examples, ...rule } = jsonSchema
  const narrow = type === 'number' || type === 'integer' || type === 'boolean' || (type === 'string' && ('pattern' in rule || 'enum' in rule || 'format' in rule))
  if (!narrow || path.includes('propertyNames')) return
  for (const key of ['type', ...Object.keys(rule)]) delete jsonSchema[key]
  jsonSchema.anyOf = [{ type, ...rule }, { type: 'string', pattern: '\\$\\{' }]
}

/** The JSON Schema (draft 07) of the whole config file; `notify` is the schema of that section. */
export function jsonSchema(types: readonly ProbeType[], notify: z.ZodType): object {
  const [first, ...others] = types.map(entrySchema)
  if (!first) throw new Error('no probe types are registered')
  const whole = z.strictObject({
    $schema: z.string().optional(), ...topShape,
    notify: notify.describe('forwards what Alertmanager sends to chats').optional(),
    probes: z.array(z.discriminatedUnion('type', [first, ...others])).optional(),
  })
  return { title: 'curlew.yaml', ...z.toJSONSchema(whole, { io: 'input', target: 'draft-07', unrepresentable: 'any', override: asWritten }) }
}
