import { describe, expect, it } from 'vitest'
import { instantOf, wallClock } from '../../src/notify/local-time.ts'
import { mentionsFor } from '../../src/notify/mentions.ts'
import { notifyConfig } from '../support/notify.ts'

const people = { ann: { slack: 'U1' }, bob: { mobile: '13800001111' }, eve: {} }

function called(section: object, severity: string, now = 0) {
  const config = notifyConfig({ people, ...section })
  const { people: found, everyone } = mentionsFor(config, config.routes[0]!, severity, now)
  return [...found.map(({ name }) => name), ...everyone ? ['everyone'] : []]
}

describe('by severity', () => {
  const section = { teams: { db: { members: ['bob', 'ann'] } }, routes: [{ channel: 'a', mentions: { critical: ['ann', 'db', 'everyone'], info: [], default: ['eve'] } }] }

  it('people and teams are called once each, in order', () => {
    expect(called(section, 'critical')).toEqual(['ann', 'bob', 'everyone'])
  })

  it('any other severity is the default, and an empty list calls nobody', () => {
    expect(called(section, 'warning')).toEqual(['eve'])
    expect(called(section, '')).toEqual(['eve'])
    expect(called(section, 'constructor')).toEqual(['eve'])
    expect(called(section, 'info')).toEqual([])
    expect(called({}, 'critical')).toEqual([])
  })

  it('whatever the case, as its name is shown', () => {
    expect(called(section, 'CRITICAL')).toEqual(['ann', 'bob', 'everyone'])
    expect(called({ routes: [{ channel: 'a', mentions: { Critical: ['ann'], critical: ['bob'] } }] }, 'critical')).toEqual(['bob'])
  })

  it('the ids come along', () => {
    const config = notifyConfig({ people, routes: [{ channel: 'a', mentions: { default: ['bob'] } }] })
    expect(mentionsFor(config, config.routes[0]!, 'x', 0)).toEqual({ people: [{ name: 'bob', ids: { mobile: '13800001111' } }], everyone: false })
  })
})

describe('rotation', () => {
  const onDuty = (rotation: object, ...times: string[]) => times.map((time) => called({ teams: { team: { members: ['ann', 'bob', 'eve'], rotation } }, routes: [{ channel: 'a', mentions: { default: ['team'] } }] }, 'x', Date.parse(time))[0])

  it('by weeks: in turn, and backwards before the first', () => {
    expect(onDuty({ every: '1w', start: '2026-01-05T09:00' }, '2025-12-29T12:00Z', '2026-01-05T08:59:59Z', '2026-01-05T09:00Z', '2026-01-12T08:59Z', '2026-01-12T09:00Z', '2026-01-19T09:00Z', '2026-01-26T09:00Z'))
      .toEqual(['eve', 'eve', 'ann', 'ann', 'bob', 'eve', 'ann'])
  })

  it('by days: at the same time of the wall clock in summer and winter', () => {
    // Berlin changes its clocks on 2026-03-29 and 2026-10-25.
    const berlin = { every: '1d', start: '2026-03-27T09:00', timezone: 'Europe/Berlin' }
    expect(onDuty(berlin, '2026-03-28T07:59Z', '2026-03-28T08:00Z', '2026-03-29T06:59Z', '2026-03-29T07:00Z', '2026-03-30T06:59Z', '2026-03-30T07:00Z')).toEqual(['ann', 'bob', 'bob', 'eve', 'eve', 'ann'])
    const autumn = { every: '1d', start: '2026-10-23T09:00', timezone: 'Europe/Berlin' }
    expect(onDuty(autumn, '2026-10-24T07:00Z', '2026-10-25T07:59Z', '2026-10-25T08:00Z')).toEqual(['bob', 'bob', 'eve'])
  })

  it('a turn that begins in the hour which comes twice begins once', () => {
    const berlin = { every: '1d', start: '2026-10-24T02:30', timezone: 'Europe/Berlin' }
    // 02:29, 02:30, then 02:10 and 02:40 for the second time.
    expect(onDuty(berlin, '2026-10-25T00:29Z', '2026-10-25T00:30Z', '2026-10-25T01:10Z', '2026-10-25T01:40Z')).toEqual(['ann', 'bob', 'bob', 'bob'])
  })

  it('a turn that begins in the hour which is left out begins after it', () => {
    const berlin = { every: '1d', start: '2026-03-28T02:30', timezone: 'Europe/Berlin' }
    expect(onDuty(berlin, '2026-03-29T00:59Z', '2026-03-29T01:30Z', '2026-03-30T00:29Z', '2026-03-30T00:30Z')).toEqual(['ann', 'bob', 'bob', 'eve'])
  })

  it('by hours: as long as they last, whatever the clock does', () => {
    const berlin = { every: '12h', start: '2026-03-28T08:00', timezone: 'Europe/Berlin' }
    expect(onDuty(berlin, '2026-03-28T07:00Z', '2026-03-28T18:59Z', '2026-03-28T19:00Z', '2026-03-29T06:59Z', '2026-03-29T07:00Z')).toEqual(['ann', 'ann', 'bob', 'bob', 'eve'])
  })

  it('has the team\'s day where it lives', () => {
    const shanghai = { every: '1d', start: '2026-05-04T00:00', timezone: 'Asia/Shanghai' }
    expect(onDuty(shanghai, '2026-05-03T15:59Z', '2026-05-03T16:00Z', '2026-05-04T16:00Z')).toEqual(['eve', 'ann', 'bob'])
  })
})

it('the clock on the wall is found again, wherever it is not turned', () => {
  for (const zone of ['Asia/Shanghai', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'UTC']) {
    for (let day = 0; day < 366; day++) {
      const noon = Date.UTC(2026, 0, 1 + day, 12)
      expect(wallClock(instantOf(noon, zone), zone)).toBe(noon)
    }
  }
})
