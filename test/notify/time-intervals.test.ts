import { describe, expect, it } from 'vitest'
import { isWithin, readTimeInterval } from '../../src/notify/time-intervals.ts'

const within = (interval: unknown, ...times: string[]) => times.map((time) => isWithin(readTimeInterval(interval), Date.parse(time)))

describe('what is inside', () => {
  it('of times: from the first minute until before the last', () => {
    const office = { times: [{ start_time: '09:00', end_time: '17:00' }, { start_time: '20:30', end_time: '24:00' }] }
    expect(within(office, '2026-03-02T08:59:59Z', '2026-03-02T09:00:00Z', '2026-03-02T16:59:59Z', '2026-03-02T17:00:00Z', '2026-03-02T23:59:59Z', '2026-03-03T00:00:00Z'))
      .toEqual([false, true, true, false, true, false])
  })

  it('of weekdays, in any case of letters', () => {
    expect(within({ weekdays: ['Monday:friday', 'sunday'] }, '2026-03-01T12:00Z', '2026-03-02T12:00Z', '2026-03-06T12:00Z', '2026-03-07T12:00Z')).toEqual([true, true, true, false])
  })

  it('of days of the month, from its end too', () => {
    const days = { days_of_month: ['1:5', '-3:-1', 10] }
    expect(within(days, '2026-02-05T12:00Z', '2026-02-06T12:00Z', '2026-02-10T12:00Z', '2026-02-25T12:00Z', '2026-02-26T12:00Z', '2026-02-28T12:00Z')).toEqual([true, false, true, false, true, true])
    expect(within({ days_of_month: ['31'] }, '2026-04-30T12:00Z', '2026-05-31T12:00Z')).toEqual([false, true])
    expect(within({ days_of_month: ['28:-1'] }, '2024-02-29T12:00Z', '2026-02-27T12:00Z')).toEqual([true, false])
  })

  it('of months and years', () => {
    expect(within({ months: ['january:march', 12, '6:July'] }, '2026-03-31T23:00Z', '2026-04-01T00:00Z', '2026-07-01T00:00Z', '2026-12-01T00:00Z')).toEqual([true, false, true, true])
    expect(within({ years: ['2026:2027', 2030] }, '2025-12-31T23:59Z', '2027-01-01T00:00Z', '2030-01-01T00:00Z')).toEqual([false, true, true])
  })

  it('of all of them at once, and always where nothing is said', () => {
    const both = { weekdays: ['monday'], times: [{ start_time: '09:00', end_time: '10:00' }] }
    expect(within(both, '2026-03-02T09:30Z', '2026-03-02T10:30Z', '2026-03-03T09:30Z')).toEqual([true, false, false])
    expect(within({}, '2026-03-02T09:30Z')).toEqual([true])
  })
})

describe('location', () => {
  it('decides which day and hour it is', () => {
    const shanghai = { weekdays: ['monday'], times: [{ start_time: '00:00', end_time: '01:00' }], location: 'Asia/Shanghai' }
    expect(within(shanghai, '2026-03-01T16:30Z', '2026-03-02T00:30Z')).toEqual([true, false])
  })

  it('follows the clock on the wall when it is changed', () => {
    const berlin = { times: [{ start_time: '09:00', end_time: '10:00' }], location: 'Europe/Berlin' }
    // 2026-03-29 and 2026-10-25 are the days of the change.
    expect(within(berlin, '2026-03-28T08:30Z', '2026-03-28T07:30Z', '2026-03-29T07:30Z', '2026-03-29T08:30Z', '2026-10-25T07:30Z', '2026-10-25T08:30Z')).toEqual([true, false, true, false, false, true])
    const night = { times: [{ start_time: '02:00', end_time: '03:00' }], location: 'Europe/Berlin' }
    expect(within(night, '2026-03-29T00:59Z', '2026-03-29T01:00Z', '2026-10-25T00:30Z', '2026-10-25T01:30Z')).toEqual([false, false, true, true])
  })

  it('Local is the zone of this machine, and the empty one UTC', () => {
    const hour = new Date('2026-03-02T12:00Z').getHours()
    const text = String(hour).padStart(2, '0')
    expect(within({ times: [{ start_time: `${text}:00`, end_time: `${text}:59` }], location: 'Local' }, '2026-03-02T12:00Z')).toEqual([true])
    expect(readTimeInterval({ location: '' }).timeZone).toBe('UTC')
  })
})

describe('mistakes', () => {
  it.each<[unknown, string]>([
    ['monday', 'expected a mapping with times, weekdays, days_of_month, months, years, location'],
    [{ weekday: ['monday'] }, 'unknown key weekday: expected times, weekdays, days_of_month, months, years, location'],
    [{ times: [] }, 'times: expected a list with at least one item'],
    [{ weekdays: 'monday' }, 'weekdays: expected a list with at least one item'],
    [{ times: ['09:00-17:00'] }, 'times[0]: expected {start_time: "09:00", end_time: "17:30"}, with 24:00 for the end of the day'],
    [{ times: [{ start_time: '9:00', end_time: '17:00' }] }, 'times[0]: expected {start_time: "09:00", end_time: "17:30"}, with 24:00 for the end of the day'],
    [{ times: [{ start_time: '09:00', end_time: '24:01' }] }, 'times[0]: expected {start_time: "09:00", end_time: "17:30"}, with 24:00 for the end of the day'],
    [{ times: [{ start_time: '22:00', end_time: '06:00' }] }, 'times[0]: expected an end_time after start_time; write a night as two items, to 24:00 and from 00:00'],
    [{ weekdays: ['monday', 'monday:fridy'] }, 'weekdays[1]: expected a weekday such as monday, or monday:friday'],
    [{ weekdays: ['friday:monday'] }, 'weekdays[0]: expected a range from an earlier one to a later one; write what passes the end as two items'],
    [{ days_of_month: ['0'] }, "days_of_month[0]: expected a day such as 1 or -1 (the last), or '1:5'"],
    [{ days_of_month: ['-1:1'] }, 'days_of_month[0]: expected a range from an earlier day to a later one'],
    [{ days_of_month: ['5:-25'] }, 'days_of_month[0]: expected a range from an earlier day to a later one'],
    [{ months: ['13'] }, 'months[0]: expected a month such as january or 1, or january:march'],
    [{ months: ['1:2:3'] }, 'months[0]: expected a month such as january or 1, or january:march'],
    [{ years: ['2027:2026'] }, 'years[0]: expected a range from an earlier one to a later one; write what passes the end as two items'],
    [{ location: 'Mars/Base' }, 'location: expected a time zone such as Asia/Shanghai, or Local'],
  ])('%j', (value, message) => {
    expect(() => readTimeInterval(value)).toThrow(new Error(message))
  })
})
