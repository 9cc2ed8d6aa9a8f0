import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { linksOf, silenceUrl } from '../../src/notify/links.ts'
import { readMatchers } from '../../src/notify/matchers.ts'
import { entry, otherAlert, over } from './alerts.ts'

describe('the silence link', () => {
  it.each([
    [{ alertname: 'Down', instance: 'a:1' }, '{alertname="Down",instance="a:1"}'],
    [{ a: 'say "hi"\\\n' }, '{a="say \\"hi\\"\\\\\\n"}'],
    [{ 'k8s.pod/name': 'x' }, '{"k8s.pod/name"="x"}'],
    [{ a: "(b)*'!~" }, "{a=\"(b)*'!~\"}"],
    [{ a: '中文&b=c#d%' }, '{a="中文&b=c#d%"}'],
  ])('has matchers for %j', (labels, filter) => {
    const url = silenceUrl('http://am:9093/prefix/', labels)!
    const [page, encoded] = url.split('?filter=')
    expect(page).toBe('http://am:9093/prefix/#/silences/new')
    expect(encoded).toMatch(/^[\w.%-]+$/)
    expect(decodeURIComponent(encoded!)).toBe(filter)
  })

  it('matches the alert and no other, as matchers are read', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (value) => {
      const filter = decodeURIComponent(silenceUrl('http://am', { a: value })!.split('?filter=')[1]!)
      expect(readMatchers(filter)).toMatchObject([{ name: 'a', value: value.toWellFormed() }])
    }))
  })

  it.each(['', 'javascript:alert(1)', 'am:9093', '/am'])('is not made for %j', (address) => { expect(silenceUrl(address, { a: 'b' })).toBeUndefined() })
})

it('what is over needs neither runbook nor silence', () => {
  const alert = otherAlert('a', { generatorURL: 'http://prom/g', annotations: { runbook_url: 'https://wiki/r', dashboard_url: 'https://graf/d' } })
  expect(linksOf(entry(alert), 'en').map(({ text }) => text)).toEqual(['Runbook', 'Dashboard', 'Source', 'Silence'])
  expect(linksOf(entry(over(alert)), 'zh').map(({ text }) => text)).toEqual(['仪表盘', '来源'])
})

it('Grafana has pages of its own', () => {
  const alert = otherAlert('a', { generatorURL: '', silenceURL: 'https://graf/alerting/silence/new?x=y', dashboardURL: 'https://graf/d/1' })
  expect(linksOf(entry(alert), 'en')).toEqual([{ text: 'Dashboard', url: 'https://graf/d/1' }, { text: 'Silence', url: 'https://graf/alerting/silence/new?x=y' }])
})

it('an address that no service takes is left out', () => {
  expect(linksOf(entry(otherAlert('a', { generatorURL: `http://prom/${'x'.repeat(3_000)}` }), { context: { externalURL: '' } }), 'en')).toEqual([])
})
