import type { ProbeType } from '../core/probe.ts'
import { dns } from './dns.ts'
import { http } from './http.ts'
import { memcached } from './memcached.ts'
import { redis } from './redis.ts'
import { tcp } from './tcp.ts'

/** Every probe type: a new one is a file beside this one and a line here. */
export const probeTypes: readonly ProbeType[] = [
  dns,
  tcp,
  http,
  redis,
  memcached,
]
