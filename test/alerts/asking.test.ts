import { expect, it } from 'vitest'
import { z } from 'zod'
import { ASKING } from '../../src/alerts/catalogue/prober.ts'
import { probeTypes } from '../../src/probes/index.ts'

it('an outage of the API explains the types that ask it, which take a kubeconfig, and not the one that probes it', () => {
  const asking = probeTypes.filter(({ options }) => options instanceof z.ZodObject && 'kubeconfig' in options.shape).map(({ type }) => type)
  expect(asking.filter((type) => type !== 'kube-api').toSorted()).toEqual([...ASKING])
})
