import { budget, days } from './catalogue/budget.ts'
import { certificate } from './catalogue/certificate.ts'
import { cluster } from './catalogue/cluster.ts'
import { dependency } from './catalogue/dependency.ts'
import { dns } from './catalogue/dns.ts'
import { host } from './catalogue/host.ts'
import { federation } from './catalogue/federation.ts'
import { limits } from './catalogue/limits.ts'
import { memcached } from './catalogue/memcached.ts'
import { mesh } from './catalogue/mesh.ts'
import { mount } from './catalogue/mount.ts'
import { mysql } from './catalogue/mysql.ts'
import { network } from './catalogue/network.ts'
import { prober } from './catalogue/prober.ts'
import { redis } from './catalogue/redis.ts'
import type { Family } from './model.ts'

/** Every alert that Curlew ships. */
export const FAMILIES: readonly Family[] = [
  dependency,
  budget,
  days,
  dns,
  network,
  mesh,
  redis,
  mysql,
  memcached,
  mount,
  certificate,
  host,
  limits,
  cluster,
  prober,
  federation,
]
