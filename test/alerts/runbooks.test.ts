import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FAMILIES } from '../../src/alerts/index.ts'
import { groupsOf } from '../../src/alerts/render.ts'
import { readValues } from '../../src/alerts/values.ts'
import { LAYERS, REASONS } from '../../src/core/result.ts'
import { familiesOf } from '../../src/exporter/families.ts'
import { PROCESS_METRICS } from '../../src/exporter/metrics-page.ts'
import { OWN } from '../../src/exporter/own-metrics.ts'
import { NOTIFY } from '../../src/notify/metrics.ts'
import { probeTypes } from '../../src/probes/index.ts'
import { closeAll, startSite, type TestSite } from '../exporter/http-support.ts'

const directory = join(import.meta.dirname, '../../docs/runbooks')
const LANGUAGES = [
  { suffix: '', headings: ['What it means', 'What users feel', 'Confirm', 'Fix', 'Avoid it next time', 'Silence'] },
  { suffix: '.zh-CN', headings: ['含义', '用户感受', '确认', '处理', '预防', '静默'] },
] as const
const alerts = FAMILIES.flatMap((family) => family.alerts)
const files = readdirSync(directory).toSorted()
const read = (file: string) => readFileSync(join(directory, file), 'utf8')

const pages = alerts.flatMap(({ name }) => LANGUAGES.map(({ suffix, headings }) => ({ name, file: `${name}${suffix}.md`, headings })))

it('every alert has its pages, and nothing else lies there', () => {
  const shared = ['README', 'layers'].flatMap((name) => LANGUAGES.map(({ suffix }) => `${name}${suffix}.md`))
  expect(files).toEqual([...pages.map(({ file }) => file), ...shared].toSorted())
})

describe.each(pages.filter(({ file }) => files.includes(file)))('$file', ({ name, file, headings }) => {
  it('has the headings of all pages, and something below each', () => {
    const [title, ...sections] = proseOf(read(file)).split(/^#{1,6} (?=.)/m).slice(1).map((section) => section.trim().split(/\n+/))
    expect(title).toEqual([name])
    expect(sections.map(([heading]) => heading)).toEqual(headings)
    for (const [heading, ...text] of sections) expect(text.length, heading).toBeGreaterThan(0)
  })

  it('silences its own alert', () => {
    const silences = Array.from(read(file).matchAll(/alertname=(\w+)/g), ([, alert]) => alert)
    expect(silences).toContain(name)
  })
})

it.each(alerts)('the pages of $name have the same commands', ({ name }) => {
  const [english, chinese] = LANGUAGES.map(({ suffix }) => blocksOf(read(`${name}${suffix}.md`)).map((text) => text
    .replaceAll(/(?:^|\s+)#.*/gm, '').replaceAll(/(?<=--comment=)'[^']*'/g, '')))
  expect(chinese).toEqual(english)
})

it.each(LANGUAGES.map(({ suffix }) => suffix))('README%s.md lists every alert with its severity and scope, by family', (suffix) => {
  const wanted = FAMILIES.flatMap(({ name: family, alerts: own }) => own.map(({ name, severity, scope }) => ({ family, name, link: `${name}${suffix}.md`, severity, scope: String(scope) })))
  const listed = read(`README${suffix}.md`).split(/^## /m).slice(1).flatMap((section) => Array.from(section.matchAll(/^\| \[(\w+)\]\(([^)]+)\) \| (\w+) \| (\w+) \| .+ \|$/gm),
    ([, name, link, severity, scope]) => ({ family: section.split('\n')[0], name, link, severity, scope })))
  expect(new Set(listed)).toEqual(new Set(wanted))
})

it.each(LANGUAGES.map(({ suffix }) => suffix))('layers%s.md has every layer and every reason', (suffix) => {
  const text = read(`layers${suffix}.md`)
  const rows = Array.from(text.matchAll(/^\| \[?`(\w+)`[^|]*\| /gm), ([, name]) => name)
  expect(rows).toEqual(expect.arrayContaining([...LAYERS, ...REASONS]))
  expect(Array.from(text.matchAll(/^### (\w+)$/gm), ([, name]) => name)).toEqual([...LAYERS])
})

it.each(LANGUAGES.map(({ suffix }) => suffix))('layers%s.md says what to do for every reason why nothing is known', (suffix) => {
  const [, section = ''] = /^### prober$(.*?)^### /ms.exec(read(`layers${suffix}.md`)) ?? []
  const listed = Array.from(section.matchAll(/^\| (`.+?`) \| /gm), ([, names]) => Array.from(names!.matchAll(/`(\w+)`/g), ([, name]) => name)).flat()
  const given = probeTypes.flatMap(({ codes }) => Object.values(codes)).filter(({ layer }) => layer === 'prober').map(({ reason }) => reason)
  expect(listed).toEqual(expect.arrayContaining([...new Set(given)]))
})

describe.each(files)('what %s names exists', (file) => {
  const text = read(file)

  it('metrics', () => {
    const named = Array.from(text.matchAll(/(?<![\w:])(?:probe|curlew|process|nodejs)_[a-z0-9_]*[a-z0-9](?![\w:])/g), ([name]) => name)
    expect(named.filter((name) => !METRICS.has(name))).toEqual([])
    const recorded = Array.from(text.matchAll(/(?<![\w:])(?:probe|target):[a-z][a-z0-9_:]+/g), ([name]) => name)
    expect(recorded.filter((name) => !RECORDS.has(name))).toEqual([])
  })

  it('commands and options of curlew', async () => {
    for (const command of codeOf(text).flatMap(curlewsOf)) expect(await mistakesOf(command), command.join(' ')).toEqual([])
  })

  it('what links lead to', () => {
    for (const [, path = '', anchor] of text.matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)) {
      const target = path === '' ? join(directory, file) : join(directory, dirname(file), path)
      expect(existsSync(target), path).toBe(true)
      if (anchor !== undefined) expect(anchorsOf(readFileSync(target, 'utf8')), path).toContain(anchor)
    }
  })
})

describe('what is asked of a running Curlew', () => {
  let site: TestSite
  beforeAll(async () => { site = await startSite({ types: probeTypes }) })
  afterAll(closeAll)

  const asked = new Set(files.flatMap((file) => codeOf(read(file))).flatMap((line) => Array.from(line.matchAll(/http:\/\/(?:CURLEW:9797|INSTANCE)(\/[^\s'"`]*)/g), ([, path]) => {
    const keys = Array.from(line.matchAll(/ (?:-d|--data-urlencode) (\w+=\w+)/g), ([, pair]) => pair)
    return keys.length > 0 ? `${path}?${keys.join('&')}` : path!
  })))

  it('is something', () => { expect(asked.size).toBeGreaterThan(0) })

  it.each([...asked])('%s', async (path) => {
    const { status, body } = await site.get(path)
    // A probe of this name is not there, and a reload wants a POST: both have read the path.
    expect([200, 404, 405], body).toContain(status)
    expect(body).not.toContain('nothing at this path')
  })
})

const { values } = readValues(FAMILIES, 'all', FAMILIES.map(({ name, optional }) => (optional === undefined ? '' : `${name}: true\n`)).join(''))
const RECORDS = new Set(FAMILIES.flatMap(({ records = [] }) => records).map(({ record }) => record))
const METRICS = new Set([
  ...[...familiesOf(probeTypes), ...Object.values(OWN), ...Object.values(NOTIFY)].flatMap(({ name, kind }) => (kind === 'histogram' ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name])),
  ...PROCESS_METRICS,
  // The probe types of a family that one has to ask for may come later than its rules.
  ...groupsOf(FAMILIES.filter(({ optional }) => optional !== undefined), values!).flatMap(({ rules }) => rules)
    .flatMap(({ expr }) => (typeof expr === 'string' ? Array.from(expr.matchAll(/\bprobe_[a-z0-9_]+/g), ([name]) => name) : [])),
])

/** The blocks of a page that are to be typed. */
function blocksOf(text: string): string[] {
  return Array.from(text.matchAll(/^```sh\n([^]*?)^```$/gm), ([, block]) => block!)
}

/** A page with its blocks emptied: a comment in one looks like a heading. */
function proseOf(text: string): string {
  return text.replaceAll(/^```[^]*?^```$/gm, '```')
}

/** Everything that is code: the lines of blocks, and code within sentences. */
function codeOf(text: string): string[] {
  const lines = blocksOf(text).flatMap((block) => block.replaceAll('\\\n', ' ').split('\n'))
  return [...lines, ...Array.from(proseOf(text).matchAll(/`([^`\n]+)`/g), ([, code]) => code!)]
}

/** The arguments of each `curlew` that a line runs. */
function curlewsOf(line: string): string[][] {
  const words = line.match(/'[^']*'|"[^"]*"|[^\s'"|;&#()]+|[|;&#()]/g) ?? []
  const isEnd = (word: string | undefined) => word !== undefined && /^[|;&#()]$/.test(word)
  return words.flatMap((word, index) => {
    const before = words[index - 1]
    const runs = word === 'curlew' && (before === undefined || isEnd(before) || before === '--' || /^[A-Z_]+=/.test(before))
    if (!runs) return []
    const end = words.findIndex((later, at) => at > index && isEnd(later))
    return [words.slice(index + 1, end === -1 ? undefined : end).map((argument) => argument.replaceAll(/^['"]|['"]$/g, ''))]
  })
}

/** Words of a command line that the help of its command does not have. */
async function mistakesOf(command: readonly string[]): Promise<readonly string[]> {
  const [name, ...rest] = command
  if (name === undefined) return []
  const [sub] = rest
  const nested = name === 'notify' && sub !== undefined && sub !== 'serve'
  const module: unknown = await import(`../../src/commands/${nested ? `notify-${sub}` : name}.ts`).catch(() => undefined)
  const help = typeof module === 'object' && module !== null && 'help' in module ? String(module.help) : undefined
  if (help === undefined) return [`there is no command ${name} ${nested ? sub : ''}`]
  const known = new Set(help.split(/[\s,[\]|]+/))
  const schemes: readonly string[] = probeTypes.flatMap((type) => type.schemes)
  return rest.filter((word) => {
    const [scheme, hasScheme] = word.split('://')
    if (hasScheme !== undefined) return !schemes.includes(scheme!)
    // What is in capitals is to be filled in, and so is what follows an option; paths and durations are values.
    return word.startsWith('-') ? !known.has(word.split('=')[0]!) : /^[a-z]+$/.test(word) && !known.has(word)
  })
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(text: string): string[] {
  return Array.from(proseOf(text).matchAll(/^#{1,6} (.+)$/gm), ([, heading]) => heading!.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-'))
}
