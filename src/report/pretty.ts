import { styleText } from 'node:util'
import type { Status } from '../core/result.ts'
import { meaningOf, type Language } from '../words/language.ts'
import type { Reported } from './outcome.ts'
import { duration, printable } from './text.ts'

const MARKS: Readonly<Record<Status, { readonly mark: string, readonly style: 'green' | 'red' | 'yellow' }>> = {
  ok: { mark: '✓', style: 'green' },
  failed: { mark: '✗', style: 'red' },
  unknown: { mark: '?', style: 'yellow' },
}

const WORDS = {
  en: { ok: 'ok', failed: 'failed', unknown: 'unknown', explained: 'explained by' },
  zh: { ok: '正常', failed: '失败', unknown: '未知', explained: '根因' },
} as const satisfies Readonly<Record<Language, Record<Status | 'explained', string>>>

/** The report for a person at a terminal: one line a job, what broke below it, a total at the end. */
export function prettyReport(outcomes: readonly Reported[], { color, language }: { readonly color: boolean, readonly language: Language }): string {
  const paint = (style: 'green' | 'red' | 'yellow' | 'bold' | 'dim', text: string) => (color ? styleText(style, text, { validateStream: false }) : text)
  const words = WORDS[language]
  const width = Math.max(0, ...outcomes.map(({ job }) => `${job.name} ${job.target}`.length))

  const lines = outcomes.flatMap(({ job, result, explainedBy }) => {
    const { mark, style } = MARKS[result.status]
    // A phase at exactly 0 was not reached: it is there for metrics that a peer initialises with 0.
    const phases = result.phases.filter(({ ms }) => ms > 0).map(({ name, ms }) => `${name} ${duration(ms)}`).join(', ')
    const padding = ' '.repeat(width - `${job.name} ${job.target}`.length)
    const head = `${paint(style, mark)} ${job.name} ${paint('bold', job.target)}${padding}  ${duration(result.ms).padStart(8)}  ${paint('dim', phases)}`
    if (result.status === 'ok') return [head.trimEnd()]
    const { layer, reason, code, message } = result.failure
    return [
      head.trimEnd(),
      `  ${paint(style, `${words[result.status]} ${layer}/${reason}`)} (${code}): ${printable(message)}`,
      ...[meaningOf(code, job.codes)?.[language]].filter((text) => text !== undefined).map((text) => `  ${text}`),
      ...(explainedBy === undefined ? [] : [`  ${words.explained} ${explainedBy}`]),
    ]
  })
  const totals = (['ok', 'failed', 'unknown'] as const)
    .map((status) => `${outcomes.filter(({ result }) => result.status === status).length} ${words[status]}`)
    .join(', ')
  return `${[...lines, totals].join('\n')}\n`
}
