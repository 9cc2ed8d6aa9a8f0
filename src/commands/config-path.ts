import { existsSync } from 'node:fs'
import type { Io } from './usage.ts'

const USUAL = ['./curlew.yaml', '/etc/curlew/curlew.yaml'] as const

/** The config to use: `-c`, else CURLEW_CONFIG, else the usual places, else undefined. One line on stderr says which. */
export function findConfig(flag: string | undefined, { env, err }: Io): string | undefined {
  const named = flag ?? env['CURLEW_CONFIG']
  const path = named ?? USUAL.find((place) => existsSync(place))
  err(path === undefined
    ? 'curlew: no config file: probing what this machine shows, read-only (-c FILE, CURLEW_CONFIG, ./curlew.yaml or /etc/curlew/curlew.yaml)\n'
    : `curlew: using ${path}\n`)
  return path
}
