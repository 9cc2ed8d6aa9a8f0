import { describe, expect, it } from 'vitest'
import { namePrefix, probeName } from '../../../src/discover/kubernetes/names.ts'
import { parseSelector } from '../../../src/discover/kubernetes/selector.ts'
import { parseTemplate, type TemplateFacts } from '../../../src/discover/kubernetes/template.ts'

describe('a label selector', () => {
  const labels = { 'app': 'redis', 'tier': 'cache', 'example.org/team': 'cart', 'empty': '' }

  it.each([
    ['app=redis', true], ['app==redis', true], ['app = redis', true], ['app!=redis', false], ['app=valkey', false], ['none!=x', true], ['none=', false], ['empty=', true],
    ['app in (redis, valkey)', true], ['app notin (redis)', false], ['none notin (x)', true], ['none in (x)', false], ['empty in ()', true],
    ['app', true], ['none', false], ['!none', true], ['!app', false], ['constructor', false], ['constructor!=x', true],
    ['example.org/team=cart,app in (a,redis),!none', true], ['app=redis,tier=web', false],
  ])('%s: %s', (text, expected) => {
    expect(parseSelector(text).matches(labels)).toBe(expected)
  })

  it.each(['', 'a=b,', '=x', 'app in redis', 'a=b c', 'app=ü'])('%j is none', (text) => {
    expect(() => parseSelector(text)).toThrow('expected a label selector such as app=redis')
  })
})

describe('a template', () => {
  const facts: TemplateFacts = {
    cluster: 'room', namespace: 'shop', name: 'redis', address: '10.0.0.1',
    port: (name) => (name === 'redis' ? 6379 : undefined), label: (key) => ({ team: 'cart' })[key], annotation: () => undefined,
  }

  it('is filled with what the object says, once: what it says is not read again', () => {
    expect(parseTemplate('{cluster}-{namespace}-{name} {address}:{port:redis} {label:team}').expand(facts)).toEqual({ text: 'room-shop-redis 10.0.0.1:6379 cart' })
    expect(parseTemplate('{label:team}').expand({ ...facts, label: () => '{name}${HOME}' })).toEqual({ text: '{name}${HOME}' })
    expect(parseTemplate('a{b').expand(facts)).toEqual({ text: 'a{b' })
  })

  it.each([['{node}', '{node}'], ['{port:http}', '{port:http}'], ['{annotation:x}', '{annotation:x}'], ['{url}', '{url}']])('says what is missing: %s', (text, missing) => {
    expect(parseTemplate(text).expand(facts)).toEqual({ missing })
  })

  it.each(['{nmae}', '{label}', '{name:x}', '{}', '{constructor}', '{port: }x{PORT}'])('%s is a mistake', (text) => {
    expect(() => parseTemplate(text)).toThrow('unknown placeholder {')
  })
})

describe('a probe\'s name', () => {
  it.each([['shop_redis', 'shop_redis'], ['Shop.Redis', 'shop-redis'], ['-x', 'x'], ['ü', undefined]])('%s: %s', (text, name) => {
    expect(probeName(text)).toBe(name)
  })

  it('that is too long is cut, and differs from another one that begins alike', () => {
    const one = probeName(`shop_${'x'.repeat(80)}a`)
    expect(one).toMatch(/^shop_x+-[0-9a-f]{8}$/)
    expect(one).toHaveLength(63)
    expect(probeName(`shop_${'x'.repeat(80)}b`)).not.toBe(one)
  })

  it('belongs to one namespace: none is made of another\'s', () => {
    expect(`${namePrefix(undefined, 'a')}b-c`).not.toBe(`${namePrefix(undefined, 'a-b')}c`)
  })
})
