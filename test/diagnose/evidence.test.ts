import { afterEach, describe, expect, it } from 'vitest'
import type { Diagnosis, DropCause } from '../../src/core/diagnosis.ts'
import type { Job } from '../../src/core/probe.ts'
import { createStore, type JobState } from '../../src/core/store.ts'
import { createEvidence, type Evidence } from '../../src/diagnose/evidence.ts'
import { resultOf, testJob } from '../support/jobs.ts'
import { eventually, freePort } from '../support/process.ts'

const gathering: Evidence[] = []
afterEach(() => gathering.splice(0).forEach((evidence) => evidence.stop()))

const onPort = (name: string, port: number, over: Partial<Job> = {}) => testJob({
  name, target: `127.0.0.1:${port}`, ways: () => [{ host: '127.0.0.1', ipProtocol: 'any', port, connectable: true }], ...over,
})

/** Jobs that all fail, with the evidence that is gathered of them. */
function failing(...jobs: readonly Job[]) {
  const [store, drops] = [createStore(), [] as DropCause[]]
  let now = 0
  const evidence = createEvidence({ store, onDrop: (cause) => drops.push(cause), now: () => now })
  gathering.push(evidence)
  const states = jobs.map((job) => store.put(job))
  let at = 1_000
  const fail = (state: JobState) => {
    const result = resultOf(state.job, 'failed', at += 1_000)
    store.record(result)
    evidence.gather(state, result)
  }
  const found = (state: JobState, index = 0) => eventually<Diagnosis>(() => store.failures(state)[index]?.evidence as Diagnosis, 5_000, 'evidence')
  return { store, states, drops, fail, found, evidence, later: (ms: number) => { now += ms } }
}

describe('evidence', () => {
  it('is gathered beside the run, and kept with the failure it is about', async () => {
    const { states: [state], fail, found, store, drops } = failing(onPort('db', await freePort()))
    fail(state!)
    expect(store.failures(state!)[0]).not.toHaveProperty('evidence')
    expect(await found(state!)).toMatchObject({
      schema_version: 1, probe: 'db', status: 'failed', failure: { code: 'connect_refused' }, verdict: 'port_closed', broken: 'connect', facts: { host: '127.0.0.1' },
      others: { same_layer: [], same_layer_count: 0, same_host: [], same_host_count: 0 },
    })
    expect(drops).toEqual([])
  })

  it('names the probes that fail at the same layer or on the same host', async () => {
    const port = await freePort()
    const { states: [one, other, elsewhere], fail, found, store } = failing(onPort('one', port), onPort('other', port + 1, { target: '127.0.0.1:2' }), onPort('elsewhere', port, { target: '127.0.0.9:3', host: '127.0.0.9' }))
    store.record(resultOf(other!.job, 'failed', 500))
    store.record(resultOf(elsewhere!.job, 'failed', 500))
    fail(one!)
    expect((await found(one!)).others).toEqual({ same_layer: ['other/127.0.0.1:2', 'elsewhere/127.0.0.9:3'], same_layer_count: 2, same_host: ['other/127.0.0.1:2'], same_host_count: 1 })
  })

  it('names those too that notice while it is gathered', async () => {
    const port = await freePort()
    const { states: [one, other], fail, found, store } = failing(onPort('one', port, {
      ways() {
        store.record(resultOf(other!.job, 'failed', 3_000))
        return [{ host: '127.0.0.1', ipProtocol: 'any', port, connectable: true }]
      },
    }), onPort('other', port + 1, { target: '127.0.0.1:2' }))
    fail(one!)
    expect((await found(one!)).others).toMatchObject({ same_layer: ['other/127.0.0.1:2'], same_host_count: 1 })
  })

  it('is not gathered of a job that has gone while it waited', async () => {
    const [gone, asked] = [await freePort(), [] as string[]]
    const { states, fail, found, store } = failing(...['a', 'b', 'c', 'd'].map((name) => onPort(name, gone, {
      ways() {
        asked.push(name)
        return [{ host: '127.0.0.1', ipProtocol: 'any', port: gone, connectable: true }]
      },
    })))
    for (const state of states) fail(state)
    store.remove(states[2]!.job.id)
    await found(states[3]!)
    expect(asked).toEqual(['a', 'b', 'd'])
  })

  it('is not gathered again within five minutes', async () => {
    const { states: [state], fail, found, drops, later } = failing(onPort('db', await freePort()))
    fail(state!)
    await found(state!)
    later(299_000)
    fail(state!)
    expect(drops).toEqual(['cooldown'])
    later(2_000)
    fail(state!)
    await found(state!, 2)
    expect(drops).toEqual(['cooldown'])
  })

  it('is gathered of two at a time, and of at most twenty more', async () => {
    const port = await freePort()
    const { states, fail, found, drops } = failing(...Array.from({ length: 30 }, (_, index) => onPort(`db-${index}`, port)))
    for (const state of states) fail(state)
    expect(drops).toEqual(Array.from({ length: 8 }, () => 'busy'))
    await Promise.all(states.slice(0, 22).map((state) => found(state)))
  })

  it('of a target that accuses nobody says so', async () => {
    const { store, found, evidence, states: [state] } = failing(onPort('db', await freePort()))
    const result = resultOf(state!.job, 'unknown', 4_000)
    store.record(result)
    evidence.gather(state!, result)
    expect(await found(state!)).toMatchObject({ verdict: 'ours', status: 'unknown' })
  })
})
