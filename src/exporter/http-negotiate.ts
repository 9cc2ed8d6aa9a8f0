import type { Language } from '../words/language.ts'

export type MetricsFormat = 'text' | 'openmetrics'

export const METRICS_TYPES: Readonly<Record<MetricsFormat, string>> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
}

interface Choice {
  /** In lower case, without parameters. */
  readonly value: string
  readonly parameters: Readonly<Record<string, string>>
  readonly q: number
}

/** The choices of an Accept, Accept-Encoding or Accept-Language header, best first, as written where equal; q=0 left out. */
export function choices(header: string | undefined): Choice[] {
  return (header ?? '').split(',').flatMap((part) => {
    const [value = '', ...rest] = part.split(';').map((piece) => piece.trim().toLowerCase())
    if (value === '') return []
    const { q = '1', ...parameters } = Object.fromEntries(rest.map((pair) => {
      const [name = '', text = ''] = pair.split('=').map((piece) => piece.trim())
      return [name, text.replace(/^"|"$/g, '')]
    }))
    const weight = /^(?:0(?:\.\d*)?|1(?:\.0*)?)$/.test(q) ? Number(q) : 1
    return weight > 0 ? [{ value, parameters, q: weight }] : []
  }).toSorted((a, b) => b.q - a.q)
}

/** OpenMetrics only for those who ask for a version of it that is written here, and prefer it. */
export function metricsFormat(accept: string | undefined): MetricsFormat {
  for (const { value, parameters: { version } } of choices(accept)) {
    if (value === 'application/openmetrics-text' && (version === undefined || version === '1.0.0' || version === '0.0.1')) return 'openmetrics'
    if (value === '*/*' || value === 'text/*' || (value === 'text/plain' && (version === undefined || version === '0.0.4'))) return 'text'
  }
  return 'text'
}

export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  const refused = /(?:^|,)\s*gzip\s*;\s*q=0(?:\.0*)?\s*(?:,|$)/i.test(acceptEncoding ?? '')
  return !refused && choices(acceptEncoding).some(({ value }) => value === 'gzip' || value === '*')
}

/** Chinese for those who prefer any Chinese to English; `lang` of the query wins. */
export function language(lang: string | undefined, acceptLanguage: string | undefined): Language {
  if (lang === 'zh' || lang === 'en') return lang
  const known = choices(acceptLanguage).find(({ value }) => /^(?:zh|en)(?:-|$)/.test(value))
  return known?.value.startsWith('zh') ? 'zh' : 'en'
}
