import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { matches, readMatchers } from '../../src/notify/matchers.ts'

const plain = (text: string) => readMatchers(text).map(({ name, operator, value }) => [name, operator, value])

describe('what Alertmanager reads', () => {
  it.each<[string, string[][]]>([
    ['severity="critical"', [['severity', '=', 'critical']]],
    ['team=~"db|cache"', [['team', '=~', 'db|cache']]],
    ['foo!=bar', [['foo', '!=', 'bar']]],
    ['foo!~"x.*"', [['foo', '!~', 'x.*']]],
    [' foo = bar ', [['foo', '=', 'bar']]],
    ['foo=', [['foo', '=', '']]],
    ['foo=""', [['foo', '=', '']]],
    ['{a="b", c=~"d"}', [['a', '=', 'b'], ['c', '=~', 'd']]],
    ['{a="b",}', [['a', '=', 'b']]],
    ['a="b", c!=d,', [['a', '=', 'b'], ['c', '!=', 'd']]],
    ['{}', []],
    ['a="x,y", b="{}"', [['a', '=', 'x,y'], ['b', '=', '{}']]],
    [String.raw`a="say \"hi, there\"\\ \n"`, [['a', '=', 'say "hi, there"\\ \n']]],
  ])('%s', (text, expected) => {
    expect(plain(text)).toEqual(expected)
  })
})

describe('what the classic grammar alone reads', () => {
  it.each<[string, string[][]]>([
    ['a==b', [['a', '=', '=b']]],
    ['a=b c', [['a', '=', 'b c']]],
    ['a={x}', [['a', '=', '{x']]],
    [String.raw`a=~"\d+"`, [['a', '=~', String.raw`\d+`]]],
    [String.raw`a=\d`, [['a', '=', String.raw`\d`]]],
    ["a='b'", [['a', '=', "'b'"]]],
    ['a="b"}', [['a', '=', 'b']]],
  ])('%s', (text, expected) => {
    expect(plain(text)).toEqual(expected)
  })
})

describe('what the UTF-8 grammar alone reads', () => {
  it.each<[string, string[][]]>([
    ['"my.label"=x', [['my.label', '=', 'x']]],
    ['my.label=x', [['my.label', '=', 'x']]],
    ['团队=数据库', [['团队', '=', '数据库']]],
    [String.raw`{"a\"b"="c", "d"!~e}`, [['a"b', '=', 'c'], ['d', '!~', 'e']]],
    [String.raw`"a.b"="\xe6\x97\xa5\u65e5\U0001F600\t\101"`, [['a.b', '=', '日日😀\tA']]],
  ])('%s', (text, expected) => {
    expect(plain(text)).toEqual(expected)
  })
})

describe('mistakes', () => {
  it.each([
    ['', 'expected a matcher such as severity="critical"'],
    ['severity', 'expected =, !=, =~ or !~ at character 9 of severity'],
    ['=x', 'expected a label name at character 1 of =x'],
    ['日本,', 'expected =, !=, =~ or !~ at character 3 of 日本,'],
    ['"a.b"=', 'expected a value at character 7 of "a.b"='],
    ['a="b', 'expected the end of the quotes that begin at character 3 of a="b'],
    ['a="b"c"', 'expected a comma at character 6 of a="b"c"'],
    ['a.b=c d', 'expected a comma at character 7 of a.b=c d'],
    ['{a.b=c', 'expected a comma or } at character 7 of {a.b=c'],
    ['{a.b=c} d', 'expected nothing more at character 9 of {a.b=c} d'],
    ['a,,b=c', 'expected =, !=, =~ or !~ at character 2 of a,,b=c'],
    [String.raw`"a.b"="\q"`, String.raw`expected quotes with escapes such as \" and \\ only at character 7 of "a.b"="\q"`],
    [String.raw`"a.b"="\xff"`, String.raw`expected quotes with escapes such as \" and \\ only at character 7 of "a.b"="\xff"`],
    [String.raw`"a.b"="\ud800"`, String.raw`expected quotes with escapes such as \" and \\ only at character 7 of "a.b"="\ud800"`],
  ])('%s', (text, message) => {
    expect(() => readMatchers(text)).toThrow(new Error(message))
  })

  it('a regular expression says what is wrong with it', () => {
    expect(() => readMatchers('a=~"("')).toThrow(/^expected a regular expression of RE2's syntax at character 4 of a=~"\(": .*missing/)
    expect(() => readMatchers('a=~"(?!x)"')).toThrow(/RE2's syntax/)
  })
})

describe('matching', () => {
  it.each<[string, Record<string, string>, boolean]>([
    ['a=x', { a: 'x' }, true],
    ['a=x', { a: 'xx' }, false],
    ['a=""', {}, true],
    ['a!=""', {}, false],
    ['a=~"db|cache"', { a: 'cache' }, true],
    ['a=~"db|cache"', { a: 'dbs' }, false],
    ['a=~"db|cache"', { a: 'my-cache' }, false],
    ['a=~".*"', {}, true],
    ['a=~".+"', {}, false],
    ['a=~"x"', { a: 'x\n' }, false],
    ['a!~"x.*"', { a: 'y' }, true],
    ['a!~"x.*"', { a: 'xy' }, false],
    ['a=1,b=2', { a: '1', b: '2' }, true],
    ['a=1,b=2', { a: '1', b: '3' }, false],
    ['constructor=""', {}, true],
    ['{}', { a: '1' }, true],
  ])('%s on %j', (text, labels, expected) => {
    expect(matches(readMatchers(text), labels)).toBe(expected)
  })

  it('takes linear time for what would be endless elsewhere', () => {
    const started = performance.now()
    expect(matches(readMatchers('a=~"(x+x+)+y"'), { a: 'x'.repeat(5_000) })).toBe(false)
    expect(performance.now() - started).toBeLessThan(2_000)
  })
})

it('reads back whatever is quoted', () => {
  const text = () => fc.string({ unit: 'grapheme' })
  fc.assert(fc.property(text(), text(), fc.constantFrom('=', '!='), (name, value, operator) => {
    // JSON's escapes are some of Go's.
    expect(plain(`{${JSON.stringify(name)}${operator}${JSON.stringify(value)}}`)).toEqual([[name, operator, value]])
  }))
})

it('throws sentences only, whatever it reads', () => {
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom(...'ab{}=!~,"\\ \n(日'), maxLength: 12 }), (text) => {
    try {
      return Array.isArray(readMatchers(text))
    } catch (error) {
      return error instanceof Error && error.message.startsWith('expected ')
    }
  }), { numRuns: 2_000 })
})
