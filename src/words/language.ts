import { SHARED_CODES, type CodeSpec } from '../core/codes.ts'

export type Language = 'en' | 'zh'

/** What a failure code means, in both languages; undefined where nobody here knows the code. `codes` are those of the probe type. */
export function meaningOf(code: string, codes: Readonly<Record<string, CodeSpec>>): Readonly<Record<Language, string>> | undefined {
  const shared: Readonly<Record<string, CodeSpec>> = SHARED_CODES
  const spec = codes[code] ?? shared[code]
  return spec && { en: spec.en, zh: spec.zh }
}
