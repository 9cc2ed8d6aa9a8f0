import type { DiscoveryLeftOut } from '../core/discovery.ts'
import type { Language } from './language.ts'

type LeftOut = Pick<DiscoveryLeftOut, 'what' | 'trouble'>

/** That a source does without what the API will not list: behind the source's name. */
export const LEFT_OUT: Readonly<Record<Language, (leftOut: LeftOut) => string>> = {
  en: ({ what, trouble }) => `left out, ${trouble === 'forbidden' ? 'may not list' : 'the API does not have'} ${what}`,
  zh: ({ what, trouble }) => `已略过，${trouble === 'forbidden' ? '无权列出' : 'API 中没有'} ${what}`,
}
