import { expect, it } from 'vitest'
import redis from '../../src/probes/redis.ts'
import memcached from '../../src/probes/memcached.ts'
import { declarationContract, tcpProbeContract } from './contract.ts'
declarationContract(redis)
tcpProbeContract(redis, (port) => ({ target: `127.0.0.1:${port}` }))
declarationContract(memcached)
tcpProbeContract(memcached, (port) => ({ target: `127.0.0.1:${port}` }))
