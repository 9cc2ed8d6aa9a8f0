import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Answer, Body, ChannelType, ChannelRequest, Verdict } from '../../src/notify/channel.ts'
import type { Notice } from '../../src/notify/notice.ts'
import { split } from '../../src/notify/split.ts'
import { oneLine } from '../../src/notify/text.ts'
import { GARBAGE, post, type Fake, type FakeOptions } from './fakes/fake.ts'
import { HOSTILE, HOSTILE_URLS } from './hostile.ts'
import { block, everywhere, manyAlerts, notice, numberOf } from './notices.ts'

/** What a person sees of a body, and what works in it. */
export interface Reading {
  /** All of the text, without markup, in order. */
  readonly visible: string
  /** Everything that is more than text: `link:<url>` for links, any other words for mentions (`mention:U123`), styles (`bold`), images and so on. */
  readonly active: readonly string[]
}

export interface ContractOptions {
  /** A fake of the service, with its own rate or another, and the entry (without name and type) that reaches it. */
  service(rate?: FakeOptions): Promise<{ readonly fake: Fake, readonly entry: Readonly<Record<string, unknown>> }>
  /** Reads a body as the service's client does: a reader of the dialect that shares no code with the channel. */
  read(body: Body): Reading
  /** A body that has this text unescaped where alerts stand: the proof that `read` sees what works. */
  raw(text: string): Body
  /** Texts that work in the dialect when they are not escaped. */
  dangerous: readonly string[]
  /** Ids of a person whom the channel can mention. */
  ids: Readonly<Record<string, string>>
  /** How data looks on the screen where the dialect cannot show it as it is: a look-alike for a character that has no escape. */
  looks?: (text: string) => string
  /** Answers and what they mean. */
  verdicts: readonly { readonly status?: number, readonly headers?: Readonly<Record<string, string>>, readonly body: string | object, readonly verdict: Readonly<Record<string, unknown>> }[]
  /** Statuses with which the service says 'taken' whatever the body is. */
  takenByStatus?: readonly number[]
  /** What stands in the example or the entry that must never be shown. */
  secrets: readonly string[]
  /** Characters of each block when a message is filled to its last unit; 60 unless given. */
  fill?: number
}

interface Bound {
  render(notice: Notice): Body
  request(body: Body, now: number): ChannelRequest
  robot(): string
  lint(notice: Notice): readonly string[]
}

/** A channel type with the options of an entry. */
export function bindEntry(type: ChannelType, entry: Readonly<Record<string, unknown>>): Bound {
  const options = type.options.parse(entry) as never // safe: they are what the type's own schema made
  return {
    render: (shown) => type.render(options, shown),
    request: (body, now) => type.request(options, body, now),
    robot: () => type.robot(options),
    lint: (shown) => type.lint?.(options, shown) ?? [],
  }
}

const answerOf = (body: string | object, status = 200, headers: Readonly<Record<string, string>> = {}): Answer => ({ status, headers, body: typeof body === 'string' ? body : JSON.stringify(body) })

/** What dialects are made of: markup comes about by what stands beside what. */
const MARKS = ['*', '_', '`', '~', '|', '[', ']', '(', ')', '<', '>', '!', '@', '#', '&', ';', ':', '/', '\\', '-', '+', '=', '$', '.', '1', 'a', ' ', 'http://', 'www.', 'all', 'b', '语', '"', '\n']

/** What every channel type promises. Call it at the top of the type's test file, beside what is special to the type. */
export function channelContract(type: ChannelType, options: ContractOptions): void {
  const bound = bindEntry(type, type.example)
  const size = (shown: Notice) => type.measure(bound.render(shown))
  const fits = (shown: Notice) => size(shown) <= type.size.most
  const looks = (text: string) => (options.looks ?? ((same: string) => same))(oneLine(text)).trim()

  describe(`${type.type}: declaration`, () => {
    it('has an example that its options take, rates and a size above zero, and a page of the vendor or of ours', () => {
      expect(type.options.safeParse(type.example).error).toBeUndefined()
      expect(type.rates.length).toBeGreaterThan(0)
      for (const rate of type.rates) expect(Math.min(rate.messages, rate.perMs)).toBeGreaterThan(0)
      expect(type.size.most).toBeGreaterThan(500)
      expect(type.documentation).toMatch(/^(?:https:\/\/|docs\/[\w-]+\.md$)/)
    })

    it('knows one robot in equal entries, and another in another', async () => {
      expect(bindEntry(type, type.example).robot()).toBe(bound.robot())
      const { fake, entry } = await options.service()
      try {
        expect(bindEntry(type, entry).robot()).not.toBe(bound.robot())
      } finally {
        await fake.close()
      }
    })
  })

  describe(`${type.type}: render`, () => {
    it('is pure, leaves its input alone and makes JSON', () => {
      const shown = everywhere('x', undefined, options.ids)
      const before = structuredClone(shown)
      const body = bound.render(shown)
      expect(bound.render(structuredClone(shown))).toStrictEqual(body)
      expect(shown).toStrictEqual(before)
      expect(JSON.parse(JSON.stringify(body))).toStrictEqual(body)
    })

    it('shows every text, in every tone, and links what it may', () => {
      for (const tone of ['critical', 'warning', 'info', 'resolved'] as const) {
        const { visible, active } = options.read(bound.render({ ...everywhere('some words', 'https://good.example/a?b=c&d=e', options.ids), tone }))
        for (const place of ['title', 'lead', 'heading', 'link', 'tail', 'button']) expect(visible).toContain(`${place} some words`)
        expect(active).toContain('link:https://good.example/a?b=c&d=e')
      }
    })

    it('shows the number of a part', () => {
      expect(options.read(bound.render(notice({ part: { index: 2, count: 5 } }))).visible).toContain('2/5')
    })

    it('calls the people of the notice and nobody else', () => {
      const { active: called } = options.read(bound.render(notice({ mentions: [{ name: 'Ann', ids: options.ids }] })))
      const { active: quiet } = options.read(bound.render(notice()))
      expect(called.filter((what) => what.startsWith('mention:')).length).toBeGreaterThan(0)
      expect(quiet.filter((what) => what.startsWith('mention:'))).toStrictEqual([])
    })
  })

  describe(`${type.type}: label values are data`, () => {
    const harmless = options.read(bound.render(everywhere('x', undefined, options.ids))).active

    it.each(options.dangerous)('the reader of this test sees that %j works unescaped', (text) => {
      expect(options.read(options.raw(text)).active).not.toStrictEqual(options.read(options.raw('x')).active)
    })

    const expectShown = (hostile: string) => {
      const body = bound.render(everywhere(hostile, undefined, options.ids))
      const { visible, active } = options.read(body)
      // A channel may leave a style out where data would break it, never a link or a mention.
      expect(beyond(active, harmless)).toStrictEqual([])
      expect(beyond(harmless, active).filter((what) => /^(?:link|mention):/.test(what))).toStrictEqual([])
      for (const place of ['title', 'lead', 'heading', 'link', 'tail', 'button']) expect(visible).toContain(looks(`${place} ${hostile}`))
      expect(JSON.stringify(body)).not.toMatch(/\\u(?:d[89a-f]|0000)/i)
    }

    it.each(HOSTILE)('%j', (hostile) => expectShown(hostile))

    it('whatever is put together of marks', () => {
      fc.assert(fc.property(fc.array(fc.constantFrom(...MARKS), { minLength: 1, maxLength: 12 }), (marks) => expectShown(`x${marks.join('')}x`)), { numRuns: 300 })
    })

    it.each(HOSTILE)('%j in pieces', (hostile) => {
      const pieces = (text: string) => bound.render(notice({ blocks: [{ tone: 'info', lines: [[{ kind: 'text', text: 'x' }], Array.from(text, (piece) => ({ kind: 'text', text: piece }))] }] }))
      expect(options.read(pieces(hostile)).active.toSorted()).toStrictEqual(options.read(pieces('x')).active.toSorted())
    })

    it.each(HOSTILE_URLS)('a link to %j', (url) => {
      const { active } = options.read(bound.render(everywhere('x', url, options.ids)))
      const links = active.filter((what) => what.startsWith('link:'))
      for (const link of links) expect(new URL(link.slice('link:'.length))).toMatchObject({ protocol: 'http:', host: 'good.example', username: '' })
      const others = (all: readonly string[]) => all.filter((what) => !what.startsWith('link:')).toSorted()
      expect(others(active)).toStrictEqual(others(harmless))
      expect(links.length).toBeLessThanOrEqual(harmless.filter((what) => what.startsWith('link:')).length)
    })
  })

  describe(`${type.type}: size`, () => {
    it.each([['a', { bytes: 1, characters: 1, utf16: 1 }], ['语', { bytes: 3, characters: 1, utf16: 1 }], ['😀', { bytes: 4, characters: 1, utf16: 2 }]] as const)('counts %s in its unit', (text, units) => {
      const at = (count: number) => size(notice({ blocks: [block('x', text.repeat(count))] }))
      expect((at(30) - at(10)) / 20).toBe(units[type.size.unit])
    })

    it('can be filled to the last unit', () => {
      const blocks = [block('x', 'a'.repeat(options.fill ?? 60))]
      const filled = (more: number) => notice({ blocks: [...blocks, block('x', 'a'.repeat(more))] })
      while (fits(filled(options.fill ?? 60))) blocks.push(blocks[0]!)
      blocks.pop()
      const room = type.size.most - size(filled(1))
      expect(size(filled(1 + room))).toBe(type.size.most)
      expect(size(filled(2 + room))).toBe(type.size.most + 1)
    })

    it('takes 200 alerts in parts that fit, each alert once and in order, calling people once', () => {
      const parts = split({ ...manyAlerts(200), mentions: [{ name: 'Ann', ids: options.ids }] }, fits)
      const bodies = parts.map((part) => bound.render(part))
      const readings = bodies.map((body) => options.read(body))
      for (const body of bodies) expect(type.measure(body)).toBeLessThanOrEqual(type.size.most)
      expect(parts.length).toBeGreaterThan(1)
      expect(readings.map(({ visible }, index) => visible.includes(`${index + 1}/${parts.length}`))).toStrictEqual(parts.map(() => true))
      expect(readings.flatMap(({ visible }) => visible.match(/N\d{4}N/g) ?? [])).toStrictEqual(Array.from({ length: 200 }, (_, index) => numberOf(index)))
      expect(readings.map(({ active }) => active.some((what) => what.startsWith('mention:')))).toStrictEqual(parts.map((_, index) => index === 0))
      expect(JSON.stringify(bodies)).not.toMatch(/\\ud[89a-f]|\uFFFD/i)
    })

    it('shortens one alert that is too long, with the count of what it left out', () => {
      const family = '👩‍👩‍👧‍👦'
      const parts = split(notice({ blocks: [block('RedisDown', family.repeat(20_000))] }), fits)
      expect(parts).toHaveLength(1)
      expect(fits(parts[0]!)).toBe(true)
      const { visible } = options.read(bound.render(parts[0]!))
      const left = Number(/… .(\d[\d,]*) characters left out/.exec(visible)?.[1]?.replaceAll(',', ''))
      const kept = visible.split(family).length - 1
      expect(kept).toBeGreaterThan(20)
      expect([...family].length * kept + left).toBe([...family].length * 20_000)
    })
  })

  describe(`${type.type}: verdict`, () => {
    it.each(options.verdicts.map(({ status, headers, body, verdict }) => [status ?? 200, typeof body === 'string' ? body : JSON.stringify(body), verdict, headers] as const))('%i %s', (status, body, verdict, headers) => {
      expect(type.verdict(answerOf(body, status, headers))).toMatchObject(verdict)
    })

    it('never takes what is no answer of the service for delivered', () => {
      for (const status of [200, 201, 202, 204, 301, 302, 400, 401, 403, 404, 407, 408, 413, 429, 500, 502, 503, 504]) {
        if (options.takenByStatus?.includes(status)) continue
        for (const { body } of GARBAGE) {
          const verdict = type.verdict(answerOf(body, status))
          expect({ status, body, outcome: verdict.outcome }).not.toMatchObject({ outcome: 'sent' })
          if (status >= 500 || status === 429 || status === 408) expect({ status, body, ...verdict }).toMatchObject({ outcome: 'retry' })
        }
      }
    })

    it('tells what the service said in one short line without a secret', () => {
      for (const secret of options.secrets) {
        for (const { status, headers, body } of options.verdicts) {
          const echoed = (typeof body === 'string' ? `${body} ${secret}\nmore` : JSON.stringify(body)).replaceAll(/("(?:errmsg|msg|message|description|error)":")/g, (key) => `${key}${secret} at http://x/${secret} `)
          expectPlain(type.verdict(answerOf(echoed, status, headers)), secret)
        }
        for (const { body } of GARBAGE) expectPlain(type.verdict(answerOf(`${secret} ${JSON.stringify(body)}`, 500)), secret)
      }
    })
  })

  describe(`${type.type}: against a service`, () => {
    const within = async (use: (fake: Fake, send: (shown?: Notice) => Promise<Verdict>) => Promise<void>, rate?: FakeOptions) => {
      const { fake, entry } = await options.service(rate)
      const own = bindEntry(type, entry)
      try {
        await use(fake, async (shown = notice()) => type.verdict(await post(own.request(own.render(shown), Date.now()))))
      } finally {
        await fake.close()
      }
    }

    it('delivers, even every hostile text at once', () => within(async (fake, send) => {
      expect(await send(everywhere('x', undefined, options.ids))).toStrictEqual({ outcome: 'sent' })
      for (const part of split(notice({ blocks: HOSTILE.map((text) => block(text, text)) }), fits)) expect(await send(part)).toStrictEqual({ outcome: 'sent' })
      expect(fake.accepted()).toBe(fake.requests())
    }, { rates: [] }))

    it('keeps to the rate until the service says that it was too fast, and reads that', () => within(async (fake, send) => {
      const burst = Math.min(...type.rates.map(({ messages }) => messages))
      // All at once, so that a slow machine does not outlast the window of a short rate.
      const verdicts = await Promise.all(Array.from({ length: burst + 1 }, () => send()))
      expect(verdicts.filter(({ outcome }) => outcome === 'sent')).toHaveLength(burst)
      expect(verdicts.find(({ outcome }) => outcome !== 'sent')).toMatchObject({ outcome: 'retry', reason: 'rate_limited' })
      expect(fake.throttled()).toBe(1)
      fake.fail('too_fast')
      expect(await send()).toMatchObject({ outcome: 'retry', reason: 'rate_limited' })
    }))
  })
}

/** What the first has and the second has not, each as often as it is there. */
function beyond(first: readonly string[], second: readonly string[]): readonly string[] {
  const rest = [...second]
  return first.filter((what) => {
    const at = rest.indexOf(what)
    if (at >= 0) rest.splice(at, 1)
    return at < 0
  })
}

function expectPlain(verdict: Verdict, secret: string): void {
  if (verdict.outcome === 'sent') return
  expect(verdict.detail).not.toContain(secret)
  expect(verdict.detail).not.toMatch(/[\n\r]/)
  expect(verdict.detail.length).toBeGreaterThan(0)
  expect(verdict.detail.length).toBeLessThan(500)
}
