import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { loadConfig, readConfig } from '../../src/config/load.ts'
import { duration, hostPort, pattern, secret } from '../../src/core/fields.ts'
import { defineProbe } from '../../src/core/probe.ts'
import { redact } from '../../src/core/secrets.ts'
import { diagnosticText, readDocument } from '../../src/config/document.ts'

/** A type with every kind of field, so that these tests do not depend on what a real one happens to have. */
const demo = defineProbe({
  type: 'demo',
  summary: 'For tests.',
  options: z.strictObject({
    target: hostPort(6379),
    password: secret().optional(),
    query: z.string().optional(),
    port: z.int().optional(),
    slow: duration().optional(),
    match: pattern().optional(),
    nested: z.strictObject({ token: secret() }).optional(),
  }),
  phases: { connect: 'connect' }, gauges: { probe_demo_level: 'A level.' }, codes: {},
  levels: { level: { gauge: 'probe_demo_level', worse: 'above' } },
  schemes: ['demo'],
  fromUrl: (url) => ({ target: url.host, ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }) }),
  example: { target: 'a' },
  async run() {},
})

const read = (text: string, env: NodeJS.ProcessEnv = {}) => readConfig([{ file: 'c.yaml', text }], { types: [demo], env })
const problems = (text: string, env: NodeJS.ProcessEnv = {}) => read(text, env).diagnostics.map(diagnosticText)
const entry = (...lines: string[]) => ['probes:', '  - name: a', '    type: demo', '    target: x', ...lines.map((line) => `    ${line}`), ''].join('\n')

describe('every mistake has a place and a sentence', () => {
  it.each<[what: string, text: string, expected: string[]]>([
    ['unknown key', entry('qurey: 1'), ['c.yaml:5:5: probes[0].qurey: unknown key for type demo; did you mean query?']],
    ['unknown key at the top', 'probe: []\nprobes: []\n', ['c.yaml:1:1: probe: unknown key; did you mean probes?']],
    ['bad duration', entry('every: 30'), ['c.yaml:5:12: probes[0].every: expected a duration such as 500ms, 30s or 1h30m']],
    ['bad duration text', entry('every: 30 sec'), ['c.yaml:5:12: probes[0].every: expected a duration such as 500ms, 30s or 1h30m']],
    ['timeout above interval', entry('every: 5s', 'timeout: 6s'), ['c.yaml:6:14: probes[0].timeout: expected at most every, 5 s']],
    ['both every and cron', entry('every: 5s', 'cron: "* * * * *"'), ['c.yaml:6:11: probes[0].cron: expected either every or cron']],
    ['bad cron', entry('cron: "99 * * * *"'), ['c.yaml:5:11: probes[0].cron: expected a cron expression such as "0 3 * * *": 99 is a invalid expression for minute']],
    ['bad time zone', entry('cron: "0 3 * * *"', 'timezone: Mars/Base'), ['c.yaml:6:15: probes[0].timezone: expected a time zone such as Europe/Berlin']],
    ['bad name', 'probes:\n  - { name: A B, type: demo, target: x }\n', ['c.yaml:2:13: probes[0].name: expected a name of lower-case letters, digits, - and _']],
    ['missing name', 'probes:\n  - type: demo\n    target: x\n', ['c.yaml:2:5: probes[0].name: expected a name']],
    ['missing target', 'probes:\n  - name: a\n    type: demo\n', ['c.yaml:2:5: probes[0]: expected target or targets']],
    ['empty targets', 'probes:\n  - name: a\n    type: demo\n    targets: []\n', ['c.yaml:4:5: probes[0].targets: expected at least one target']],
    ['bad target', 'probes:\n  - name: a\n    type: demo\n    targets: [ok, "b:99999"]\n', ['c.yaml:4:19: probes[0].targets[1]: expected host or host:port (port 6379 unless given); an IPv6 address with a port stands in brackets']],
    ['wrong scheme', 'probes:\n  - name: a\n    type: demo\n    target: http://x\n', ['c.yaml:4:13: probes[0].target: expected a target of type demo (demo://), not http://']],
    ['two targets that are one', 'probes:\n  - name: a\n    type: demo\n    targets: [x, "X:6379"]\n', ['c.yaml:4:18: probes[0].targets[1]: duplicate target: another one of this probe is x:6379 too']],
    ['duplicate probe', 'probes:\n  - { name: a, type: demo, target: x }\n  - { name: a, type: demo, target: y }\n', ['c.yaml:3:13: probes[1].name: duplicate probe: a is already defined at c.yaml:2; expected a unique name']],
    ['unknown type', 'probes:\n  - { name: a, type: dmo, target: x }\n', ['c.yaml:2:22: probes[0].type: expected one of demo; did you mean demo?']],
    ['missing type', 'probes:\n  - name: a\n', ['c.yaml:2:5: probes[0]: type: expected one of demo, but the key is missing']],
    ['unknown dependency', entry('depends_on: [dns]'), ['c.yaml:5:18: probes[0].depends_on[0]: unknown dependency dns: expected the name of a probe of this config, or {probe: dns, remote: true}']],
    ['unknown target of a dependency', `${entry()}  - { name: b, type: demo, target: y, depends_on: [a/z:1] }\n`, ['c.yaml:5:52: probes[1].depends_on[0]: unknown dependency: a has no target z:1; expected one of x:6379']],
    ['a circle', 'probes:\n  - { name: a, type: demo, target: x, depends_on: [b] }\n  - { name: b, type: demo, target: x, depends_on: [a] }\n', ['c.yaml:2:39: probes[0].depends_on: dependency circle: a -> b -> a']],
    ['a circle of one', entry('depends_on: [a]'), ['c.yaml:5:5: probes[0].depends_on: dependency circle: a -> a']],
    ['reserved label', entry('labels: { job: x }'), ['c.yaml:5:15: probes[0].labels.job: expected another label name: job is reserved']],
    ['label that is no text', entry('labels: { tier: 1 }'), ['c.yaml:5:21: probes[0].labels.tier: expected a text; put the value in quotes']],
    ['reserved label at the top', 'labels: { __x: a }\nprobes: []\n', ['c.yaml:1:11: labels.__x: expected another label name: __x is reserved']],
    ['unset variable', entry('query: "${NOPE}"'), ['c.yaml:5:12: probes[0].query: expected the environment variable NOPE to be set']],
    ['unreadable secret file', entry('password: "${file:/nonexistent/pw}"'), ['c.yaml:5:15: probes[0].password: expected a readable file: /nonexistent/pw (ENOENT)']],
    ['a secret file that is a device', entry('password: "${file:/dev/null}"'), ['c.yaml:5:15: probes[0].password: expected a regular file: /dev/null']],
    ['a secret file that is a directory', entry('password: "${file:/}"'), ['c.yaml:5:15: probes[0].password: expected a regular file: /']],
    ['bad pattern', entry('match: "("'), ["c.yaml:5:12: probes[0].match: expected a regular expression of RE2's syntax: error parsing regexp: missing closing ): `(`"]],
    ['unknown level', entry('limits: { nope: { warning: 1 } }'), ['c.yaml:5:15: probes[0].limits.nope: expected one of duration, level']],
    ['a limit with nothing in it', entry('limits: { level: {} }'), ['c.yaml:5:15: probes[0].limits.level: expected warning, critical or both']],
    ['fail_on without a limit', entry('fail_on: [level]'), ['c.yaml:5:15: probes[0].fail_on[0]: expected the name of a limit that is set under limits']],
    ['no probes', 'labels: {}\n', ['c.yaml:1:1: probes: expected a list of probes, but the key is missing']],
    ['probes is no list', 'probes: 3\n', ['c.yaml:1:9: probes: expected a list of probes']],
    ['an entry is no mapping', 'probes: [x]\n', ['c.yaml:1:10: probes[0]: expected a mapping with name, type and target']],
    ['keys that every object has', entry('constructor: 1', 'limits: { toString: { warning: 1 } }'), ['c.yaml:5:5: probes[0].constructor: unknown key for type demo', 'c.yaml:6:15: probes[0].limits.toString: expected one of duration, level']],
    ['a mistake that a merge brings', 'defaults: &d { every: 30 }\nprobes:\n  - { <<: *d, name: a, type: demo, target: x }\n', ['c.yaml:1:23: defaults.every: expected a duration such as 500ms, 30s or 1h30m', 'c.yaml:1:23: probes[0].every: expected a duration such as 500ms, 30s or 1h30m']],
    ['an alias inside its own anchor', 'probes: &p\n  - [*p, *p]\n', ['c.yaml:2:5: probes[0]: expected a mapping with name, type and target', 'c.yaml:2:6: probes[0][0]: expected at most 100 levels, and no alias inside its own anchor']],
    ['a mistake after a byte order mark', '\uFEFFprobe: 1\nprobes: []\n', ['c.yaml:1:1: probe: unknown key; did you mean probes?']],
    ['an empty file', '', ['c.yaml:1:1: expected a mapping with the key probes']],
    ['defaults with a mistake', 'defaults: { every: never }\nprobes: []\n', ['c.yaml:1:20: defaults.every: expected a duration such as 500ms, 30s or 1h30m']],
    ['a default that an entry makes wrong', `defaults: { timeout: 10s }\n${entry('every: 5s')}`, ['c.yaml:3:5: probes[0]: timeout (from defaults): expected at most every, 5 s']],
  ])('%s', (_what, text, expected) => {
    expect(problems(text)).toEqual(expected)
  })

  it.each([
    ['a key twice', 'probes: []\nprobes: []\n', /^c\.yaml:2:1: not valid YAML: this key stands here twice/],
    ['a tab', 'probes:\n\t- x\n', /^c\.yaml:2:1: not valid YAML/],
    ['an open bracket', 'probes: [\n', /^c\.yaml:\d+:\d+: not valid YAML/],
  ])('YAML errors: %s', (_what, text, expected) => {
    expect(problems(text)[0]).toMatch(expected)
  })

  it.each([
    ['*hunter2hunter2', 'c.yaml:5:15: not valid YAML: an alias without an anchor before it; a text that begins with * stands in quotes'],
    ['!hunter2hunter2', 'c.yaml:5:15: not valid YAML: unknown tag; a text that begins with ! stands in quotes'],
    ['>hunter2hunter2', 'c.yaml:5:16: not valid YAML: unexpected token'],
    ['"\\xhunter2hunter2"', 'c.yaml:5:16: not valid YAML: an escape sequence that YAML does not know'],
    ['{{ hunter2hunter2 }}', 'c.yaml:5:5: probes[0].password: expected a text, got a mapping'],
  ])('never quotes a password that is no YAML: %s', (written, expected) => {
    const warned = vi.spyOn(process, 'emitWarning').mockReturnValue()
    expect(problems(entry(`password: ${written}`))).toEqual([expected])
    expect(warned).not.toHaveBeenCalled()
    warned.mockRestore()
  })

  it('does not expand an alias bomb', () => {
    const levels = ['a: &a0 [x, x, x, x, x, x, x, x, x]', ...Array.from({ length: 9 }, (_, i) => `b${i}: &a${i + 1} [${Array.from({ length: 9 }, () => `*a${i}`).join(', ')}]`)]
    expect(problems(`${levels.join('\n')}\nprobes: []\n`)).toEqual(['c.yaml:1:1: not valid YAML: the aliases stand for too much'])
  })

  it('tells them all at once, in the order of the file, and rules across entries in spite of broken entries', () => {
    expect(problems('probes:\n  - { name: a, type: demo, target: x, every: bad, depends_on: [c] }\n  - { name: a, type: nope, target: x }\n  - { name: d, type: demo, target: x, colour: red }\n')).toEqual([
      'c.yaml:2:46: probes[0].every: expected a duration such as 500ms, 30s or 1h30m',
      'c.yaml:2:64: probes[0].depends_on[0]: unknown dependency c: expected the name of a probe of this config, or {probe: c, remote: true}',
      'c.yaml:3:13: probes[1].name: duplicate probe: a is already defined at c.yaml:2; expected a unique name',
      'c.yaml:3:22: probes[1].type: expected one of demo',
      'c.yaml:4:39: probes[2].colour: unknown key for type demo',
    ])
  })

  it('never shows a substituted value in a mistake', () => {
    const text = problems(entry('slow: "${SECRET}"', 'match: "(${SECRET}"'), { SECRET: 'hunter2hunter2' }).join('\n')
    expect(text).toContain('probes[0].match')
    expect(text).not.toContain('hunter2hunter2')
  })

  it('survives any text without a stack trace', () => {
    const word = fc.constantFrom('probes', ':', ' ', '\n', '- ', 'name', 'type', 'demo', 'target', '"', '${A}', '${', '}', '[', ']', '{', '&a', '*a', '#', '\t', '|', '1', 'every', 'é', '\u0000', 'depends_on', 'labels')
    fc.assert(fc.property(fc.array(word, { maxLength: 40 }), (words) => {
      const loaded = read(words.join(''), { A: 'x' })
      for (const { line, column, message } of loaded.diagnostics) {
        expect(line).toBeGreaterThanOrEqual(1)
        expect(column).toBeGreaterThanOrEqual(1)
        expect(message).not.toMatch(/\bat .*\.ts:\d+/)
      }
    }), { numRuns: 500 })
  })
})

it('finds a circle at the end of a chain as long as the config', () => {
  const chain = Array.from({ length: 10_000 }, (_, i) => `  - { name: p${i}, type: nope, depends_on: [p${Math.min(i + 1, 9_999)}] }\n`)
  expect(problems(`probes:\n${chain.join('')}`).filter((line) => line.includes('circle'))).toHaveLength(1)
})

describe('what is read', () => {
  it.each(['!Abc123', '&Abc123', '"abc"', "'abc'", ' abc ', '|', '>', '---', '...', '!!str 5', 'null', '0x1F', '007', '#a'])('a password as the environment has it: %s', (password) => {
    const loaded = readDocument('c.yaml', 'probes: [{ query: "${P}", port: "${N}" }]', { P: password, N: '6379' })
    const raw = typeof loaded.value === 'object' ? JSON.stringify(loaded.value) : ''
    expect(raw).toContain('"port":6379')
    expect(read(entry('password: "${P}"'), { P: password }).diagnostics).toEqual([])
    expect(loaded.substituted[0]?.text).toBe(password)
    if (!['null', '0x1F', '007'].includes(password)) expect(loaded.value).toMatchObject({ probes: [{ query: password }] })
  })

  it('a label and an id that are numbers in the environment as the texts they have to be', () => {
    const loaded = read('instance_id: "${N}"\nlabels: { dc: "${N}" }\nprobes: [{ name: a, type: demo, target: x }]\n', { N: '07' })
    expect(loaded.diagnostics).toEqual([])
    expect(loaded.config?.top.instance_id).toBe('07')
    expect(loaded.config?.jobs[0]?.labels).toEqual({ dc: '07' })
  })

  const jobs = (text: string, env: NodeJS.ProcessEnv = {}) => {
    const loaded = read(text, env)
    expect(loaded.diagnostics).toEqual([])
    return loaded.config!.jobs
  }

  it('fills in the defaults of the fine print', () => {
    const [job] = jobs(entry())
    expect(job).toMatchObject({ name: 'a', type: 'demo', target: 'x:6379', host: 'x', schedule: { everyMs: 30_000 }, timeoutMs: 5_000, failureThreshold: 3, successThreshold: 1, mode: 'read-write', labels: {}, histogram: false })
    expect(job!.id).toBe('c4998bd54e4e')
  })

  it('gives slow probes no damping and short ones a short timeout', () => {
    expect(jobs(entry('every: 1h'))[0]).toMatchObject({ failureThreshold: 1, timeoutMs: 5_000 })
    expect(jobs(entry('cron: "0 3 * * *"'))[0]).toMatchObject({ failureThreshold: 1, schedule: { cron: '0 3 * * *', timezone: undefined, runAtStart: true } })
    expect(jobs(entry('every: 2s'))[0]).toMatchObject({ timeoutMs: 2_000 })
  })

  it('merges defaults and labels, the entry first', () => {
    const [job] = jobs(`defaults: { every: 10s, timeout: 2s, mode: read-only, failure_threshold: 5 }\nlabels: { cluster: c1, tier: x }\n${entry('timeout: 1s', 'labels: { tier: cache }')}`)
    expect(job).toMatchObject({ schedule: { everyMs: 10_000 }, timeoutMs: 1_000, mode: 'read-only', failureThreshold: 5, labels: { cluster: 'c1', tier: 'cache' } })
  })

  it('lets an entry with cron override every of the defaults', () => {
    expect(jobs(`defaults: { every: 10s }\n${entry('cron: "0 3 * * *"')}`)[0]!.schedule).toMatchObject({ cron: '0 3 * * *' })
  })

  it('reads URLs as targets', () => {
    expect(jobs('probes: [{ name: a, type: demo, target: "demo://:s3cretword@h:1" }]\n')[0]!.target).toBe('h:1')
  })

  it('puts variables into scalars only, and reads a lone one as YAML', () => {
    expect(jobs(entry('port: ${PORT}', 'query: "x-${PORT}-$${PORT}"'), { PORT: '6380' })).toHaveLength(1)
    expect(problems(entry('port: ${PORT}'), { PORT: 'abc' })).toEqual(['c.yaml:5:11: probes[0].port: expected a number, got a text'])
    // A value cannot add structure.
    expect(jobs(entry('query: ${Q}'), { Q: 'a\n    labels: {job: x}' })[0]!.labels).toEqual({})
  })

  it('takes a number for a text where the schema wants a text', () => {
    expect(jobs(entry('password: ${PIN}'), { PIN: '12345678' })).toHaveLength(1)
  })

  it('changes the fingerprint with a secret, an option or a threshold, and with nothing else', () => {
    const print = (text: string, env: NodeJS.ProcessEnv = {}) => jobs(text, env)[0]!.fingerprint
    const base = print(entry('password: "${P}"'), { P: 'password-one' })
    expect(print(entry('password: "${P}"', '# a comment'), { P: 'password-one' })).toBe(base)
    expect(print(entry('password: "${P}"'), { P: 'password-two' })).not.toBe(base)
    expect(print(entry('password: "${P}"', 'failure_threshold: 2'), { P: 'password-one' })).not.toBe(base)
    expect(base).not.toContain('password')
  })

  it('lets every probe use one anchor', () => {
    const many = Array.from({ length: 300 }, (_, i) => `  - { name: p${i}, type: demo, target: x, labels: *l }`).join('\n')
    expect(jobs(`labels: &l { tier: a }\nprobes:\n${many}\n`)).toHaveLength(300)
  })

  it('knows merge keys', () => {
    expect(jobs('probes:\n  - &a { name: a, type: demo, target: x, every: 10s }\n  - { <<: *a, name: b, timeout: 1s }\n').map(({ name, schedule, timeoutMs }) => [name, schedule, timeoutMs])).toEqual([['a', { everyMs: 10_000 }, 5_000], ['b', { everyMs: 10_000 }, 1_000]])
    expect(problems('probes:\n  - &a { name: a, type: demo, target: x, evry: 10s }\n  - { <<: *a, name: b }\n')).toEqual([
      'c.yaml:2:42: probes[0].evry: unknown key for type demo; did you mean every?', 'c.yaml:2:42: probes[1].evry: unknown key for type demo; did you mean every?',
    ])
  })

  it('knows remote dependencies and targets of dependencies', () => {
    const [, second] = jobs(`${entry()}  - { name: b, type: demo, target: y, depends_on: [a, "a/x:6379", { probe: far, remote: true }] }\n`)
    expect(second!.dependsOn).toEqual([{ probe: 'a', remote: false }, { probe: 'a', target: 'x:6379', remote: false }, { probe: 'far', remote: true }])
  })

  it('keeps limits and what they fail', () => {
    expect(jobs(entry('limits: { level: { warning: 1, critical: 2 }, duration: { critical: 0.5 } }', 'fail_on: [level]'))[0]!.limits).toEqual([
      { name: 'level', gauge: 'probe_demo_level', worse: 'above', warning: 1, critical: 2, fails: true },
      { name: 'duration', gauge: 'probe_duration_seconds', worse: 'above', critical: 0.5, fails: false },
    ])
  })
})

describe('a type with bounds', () => {
  const heavy = { ...demo, type: 'heavy', bounds: { targets: 3, everyMs: 60_000 } }
  const load = (text: string) => readConfig([{ file: 'c.yaml', text }], { types: [demo, heavy], env: {} })
  const probes = (...entries: string[]) => ['probes:', ...entries.map((one, index) => `  - { name: p${index}, type: heavy, ${one} }`), ''].join('\n')

  it.each<[what: string, text: string, expected: string[]]>([
    ['as much as it may be', probes('targets: [a, b]', 'target: c, cron: "* * * * *"'), []],
    ['another type beside it', `${probes('targets: [a, b, c], every: 1m')}  - { name: x, type: demo, targets: [a, b, c, d], every: 1s }\n`, []],
    ['a target too many in one list', probes('targets: [a, b, c, d, e]'), ['c.yaml:2:49: probes[0].targets[3]: expected at most 3 targets of type heavy in a config, there are 5']],
    ['a target too many in another entry', probes('targets: [a, b, c]', 'target: d'), ['c.yaml:3:38: probes[1].target: expected at most 3 targets of type heavy in a config, there are 4']],
    ['a target too many by cron', probes('targets: [a, b, c], cron: "0 3 * * *"', 'targets: [d], cron: "0 4 * * *"'), ['c.yaml:3:40: probes[1].targets[0]: expected at most 3 targets of type heavy in a config, there are 4']],
    ['one told once, though five entries are too many', probes('targets: [a, b, c]', ...'defgh'.split('').map((target) => `target: ${target}`)), ['c.yaml:3:38: probes[1].target: expected at most 3 targets of type heavy in a config, there are 8']],
    ['too often', probes('target: a, every: 59s'), ['c.yaml:2:48: probes[0].every: expected at least 1m between two runs of type heavy']],
    ['too often by the defaults', `defaults: { every: 5s }\n${probes('target: a')}`, ['c.yaml:3:5: probes[0]: every (from defaults): expected at least 1m between two runs of type heavy']],
    ['too often by cron', probes('target: a, cron: "0,30 * * * * *"'), ['c.yaml:2:47: probes[0].cron: expected at least 1m between two runs of type heavy']],
    ['too often by cron, once a year', probes('target: a, cron: "0,30 0 3 1 1 *"'), ['c.yaml:2:47: probes[0].cron: expected at least 1m between two runs of type heavy']],
  ])('%s', (_what, text, expected) => {
    expect(load(text).diagnostics.map(diagnosticText)).toEqual(expected)
  })

  it('runs as often as it may unless told otherwise', () => {
    expect(load(probes('target: a, timeout: 45s')).config!.jobs[0]).toMatchObject({ schedule: { everyMs: 60_000 }, timeoutMs: 45_000 })
  })
})

describe('secrets', () => {
  it('are hidden in what is shown of the config, comments are left out, and labels stay', () => {
    const text = [
      '# old password: comment-secret', 'probes:', '  - name: a', '    type: demo',
      '    targets: ["demo://user:url-secret@h:1", "${HOST}:1"]', '    password: literal-secret',
      '    nested: { token: abc }', '    query: "${FROM_ENV}"', '',
    ].join('\n')
    const { config } = read(text, { HOST: 'visible-host', FROM_ENV: 'env-secret' })
    expect(config!.shown).not.toMatch(/comment-secret|url-secret|literal-secret|env-secret|\babc\b/)
    expect(config!.shown).toContain('${HOST}:1')
    expect(config!.jobs[1]!.target).toBe('visible-host:1')
    expect(redact('visible-host said env-secret and literal-secret')).toBe('visible-host said <secret> and <secret>')
  })
})

describe('files', () => {
  let directory: string
  beforeEach(() => { directory = mkdtempSync(join(tmpdir(), 'curlew-config-')) })
  afterEach(() => { rmSync(directory, { recursive: true }) })

  it('reads a directory as one config', async () => {
    writeFileSync(join(directory, '10-a.yaml'), 'defaults: { every: 10s }\nprobes: [{ name: a, type: demo, target: x }]\n')
    writeFileSync(join(directory, '20-b.yml'), 'probes: [{ name: b, type: demo, target: x, depends_on: [a] }]\n')
    writeFileSync(join(directory, '.hidden.yaml'), 'nonsense')
    writeFileSync(join(directory, 'notes.txt'), 'nonsense')
    const loaded = await loadConfig(directory, { types: [demo] })
    expect(loaded.diagnostics).toEqual([])
    expect(loaded.config!.jobs.map(({ name, schedule }) => [name, schedule])).toEqual([['a', { everyMs: 10_000 }], ['b', { everyMs: 10_000 }]])

    writeFileSync(join(directory, '30-c.yaml'), 'defaults: {}\nprobes: [{ name: b, type: demo, target: x }]\n')
    const [first, second] = (await loadConfig(directory, { types: [demo] })).diagnostics.map(diagnosticText)
    expect(first).toBe(`${directory}/30-c.yaml:1:1: defaults: already set in ${directory}/10-a.yaml`)
    expect(second).toContain(`${directory}/30-c.yaml:2:18: probes[0].name: duplicate probe: b is already defined at ${directory}/20-b.yml:1`)
  })

  it('says in a sentence that a file cannot be read', async () => {
    expect((await loadConfig('/nonexistent.yaml', { types: [demo] })).diagnostics.map(diagnosticText)).toEqual(['/nonexistent.yaml:1:1: expected a readable config file (ENOENT)'])
  })

  it('has another checksum when only a secret file has changed', async () => {
    const file = join(directory, 'pw')
    const config = join(directory, 'single.yaml')
    writeFileSync(config, entry(`password: "\${file:${file}}"`))
    writeFileSync(file, 'first-password\n')
    const before = await loadConfig(config, { types: [demo] })
    expect((await loadConfig(config, { types: [demo] })).checksum).toBe(before.checksum)
    writeFileSync(file, 'second-password\n')
    const after = await loadConfig(config, { types: [demo] })
    expect(after.checksum).not.toBe(before.checksum)
    expect(after.config!.jobs[0]!.fingerprint).not.toBe(before.config!.jobs[0]!.fingerprint)
  })
})
