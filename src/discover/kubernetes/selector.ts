type Requirement = (labels: Readonly<Record<string, string>>) => boolean

const KEY = '(?:[A-Za-z0-9.-]{1,253}/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?'
const VALUE = '[A-Za-z0-9_.-]{0,63}'
const SET = new RegExp(`^(${KEY})\\s+(in|notin)\\s*\\(\\s*(${VALUE}(?:\\s*,\\s*${VALUE})*)\\s*\\)$`)
const EQUAL = new RegExp(`^(${KEY})\\s*(==|=|!=)\\s*(${VALUE})$`)
const EXISTS = new RegExp(`^(!?)\\s*(${KEY})$`)

/** Whether an object's labels are those of a label selector, and which keys it looks at. */
export interface Selector {
  readonly keys: readonly string[]
  matches(labels: Readonly<Record<string, string>>): boolean
}

/** Reads a label selector as kubectl's `-l` takes it: `app=redis,tier!=cache,env in (prod, stage),!legacy`. Throws an Error with a sentence. */
export function parseSelector(text: string): Selector {
  const keys: string[] = []
  const requirements: Requirement[] = []
  // A comma inside parentheses separates values.
  for (const part of text.split(/,(?![^(]*\))/).map((one) => one.trim())) {
    const [, setKey, operator, list] = SET.exec(part) ?? []
    const [, equalKey, sign, value] = EQUAL.exec(part) ?? []
    const [, not, existsKey] = EXISTS.exec(part) ?? []
    if (setKey !== undefined && list !== undefined) {
      const values = list.split(',').map((one) => one.trim())
      keys.push(setKey)
      requirements.push((labels) => (Object.hasOwn(labels, setKey) && values.includes(labels[setKey] ?? '') ? operator === 'in' : operator === 'notin'))
    } else if (equalKey !== undefined) {
      keys.push(equalKey)
      requirements.push((labels) => (labels[equalKey] === value) === (sign !== '!='))
    } else if (existsKey !== undefined) {
      keys.push(existsKey)
      requirements.push((labels) => Object.hasOwn(labels, existsKey) === (not === ''))
    } else {
      throw new Error('expected a label selector such as app=redis,tier!=cache,env in (prod, stage),!legacy')
    }
  }
  return { keys, matches: (labels) => requirements.every((holds) => holds(labels)) }
}
