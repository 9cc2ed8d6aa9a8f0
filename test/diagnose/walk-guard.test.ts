import { expect, it } from 'vitest'
import { createRouteMemory, walk } from '../../src/diagnose/walk.ts'
import { REFUSED, resultOf, testJob } from '../support/jobs.ts'
import { tcpServer } from '../support/tcp.ts'

it('goes nowhere on this machine for a tenant', async () => {
  const server = await tcpServer()
  try {
    const job = testJob({ name: 'it', ways: () => [{ host: 'localhost', ipProtocol: 'ip4', port: server.port, connectable: true }] })
    const kinds = async (guard: typeof job.guard) => {
      const { steps } = await walk({ ...job, guard }, { signal: new AbortController().signal, routes: createRouteMemory(), run: () => resultOf(job, 'failed', Date.now(), { failure: REFUSED }) })
      return steps.flatMap(({ findings }) => findings.map(({ kind }) => kind))
    }
    expect(await kinds(undefined)).toContain('connection')
    const before = server.accepted()
    for (const guard of ['name', 'address'] as const) expect(await kinds(guard)).not.toContain('connection')
    expect([before, server.accepted()]).toEqual([1, 1])
  } finally {
    await server.close()
  }
})
