import type { ProbeType } from '../core/probe.ts'
import { cert } from './cert.ts'
import { dns } from './dns.ts'
import { host } from './host.ts'
import { http } from './http.ts'
import { kubeNode } from './kube-node.ts'
import { kubeApiProbe } from './kube-api.ts'
import { kubeDns } from './kube-dns.ts'
import { kubeCert } from './kube-cert.ts'
import { kubePath } from './kube-path.ts'
import { memcached } from './memcached.ts'
import { mesh } from './mesh.ts'
import { mount } from './mount.ts'
import { mysql } from './mysql.ts'
import { ping } from './ping.ts'
import { redis } from './redis.ts'
import { redisCluster } from './redis-cluster.ts'
import { redisSentinel } from './redis-sentinel.ts'
import { tcp } from './tcp.ts'
import { traceroute } from './traceroute.ts'

/** Every probe type: a new one is a file beside this one and a line here. */
export const probeTypes: readonly ProbeType[] = [
  dns,
  tcp,
  http,
  cert,
  redis,
  redisSentinel,
  redisCluster,
  memcached,
  ping,
  mount,
  mysql,
  traceroute,
  host,
  kubeNode,
  kubeApiProbe,
  mesh,
  kubeDns,
  kubeCert,
  kubePath,
]
