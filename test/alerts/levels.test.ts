import { expect, it } from 'vitest'
import { FAMILIES } from '../../src/alerts/index.ts'
import { groupsOf } from '../../src/alerts/render.ts'
import { readValues } from '../../src/alerts/values.ts'
import { probeTypes } from '../../src/probes/index.ts'

const { values } = readValues(FAMILIES, 'values.yaml', '')
const rules = groupsOf(FAMILIES, values!).flatMap((group) => group.rules)

it.each(probeTypes.flatMap(({ type, levels = {} }) => Object.keys(levels).map((name) => ({ type, name }))))('a limit of $name on a $type probe is read by a rule', ({ name }) => {
  expect(rules.filter(({ expr }) => typeof expr === 'string' && expr.includes(`probe_threshold{job="curlew",name="${name}"`))).not.toEqual([])
})
