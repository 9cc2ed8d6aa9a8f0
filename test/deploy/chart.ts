import { execFile } from 'node:child_process'
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { parse } from 'yaml'
import { z } from 'zod'
import { deploy, objectsOf, type Manifest } from './manifests.ts'

export const chart = join(deploy, 'helm/curlew')
export const templates = new Map(readdirSync(join(chart, 'templates')).toSorted().map((name) => [name, readFileSync(join(chart, 'templates', name), 'utf8')]))

type Values = Readonly<Record<string, unknown>>
const read = (path: string) => z.record(z.string(), z.unknown()).parse(parse(readFileSync(join(chart, path), 'utf8')))
export const defaults: Values = read('values.yaml')
/** The values of ci/, each over the defaults as Helm lays them: maps are merged, null takes out, all else replaces. */
export const CI = readdirSync(join(chart, 'ci')).toSorted().map((file) => ({ file, values: over(defaults, read(join('ci', file))) }))

/** What values.schema.json has against values. */
export function valuesProblems(values: unknown): string[] {
  // safe: Helm reads the same file as a JSON Schema
  const schema = z.fromJSONSchema(JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8')) as Parameters<typeof z.fromJSONSchema>[0])
  return schema.safeParse(values).error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? []
}

function over(base: Values, given: Values): Values {
  const merged: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(given)) {
    if (value === null) delete merged[key]
    else merged[key] = isMap(merged[key]) && isMap(value) ? over(merged[key], value) : value
  }
  return merged
}

function isMap(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Where helm is: one path, or none where it is not on PATH. */
export function helmPaths(): string[] {
  return (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'helm')).filter((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  }).slice(0, 1)
}

/** What `helm template` makes of the chart, with a file of ci/ or with the defaults. */
export async function rendered(helm: string, release: string, file?: string): Promise<Manifest[]> {
  const { stdout } = await promisify(execFile)(helm, ['template', release, chart, '--namespace', 'curlew', '--kube-version', '1.36.0', ...(file === undefined ? [] : ['-f', join(chart, 'ci', file)])], { maxBuffer: 8 * 2 ** 20 })
  return objectsOf(stdout)
}
