import { styleText } from 'node:util'
import type { Finding, Step, StepName } from '../core/diagnosis.ts'
import type { Failure } from '../core/result.ts'
import type { Language } from '../words/language.ts'
import { DIAGNOSIS_WORDS, type DiagnosisWords } from '../words/diagnosis-words.ts'
import { duration, printable } from './text.ts'

const MARKS = {
  ok: { mark: '✓', style: 'green' }, partly: { mark: '~', style: 'yellow' }, unknown: { mark: '?', style: 'yellow' }, failed: { mark: '✗', style: 'red' },
} as const
const WIDTH = 10

export interface Look {
  readonly color: boolean
  readonly language: Language
}

/** A step of a diagnosis for a person at a terminal: what it came to, and a line for each thing that was looked at. */
export function stepLines({ step, status, seconds, findings }: Step, { color, language }: Look): string {
  const words = DIAGNOSIS_WORDS[language]
  const { mark, style } = MARKS[status]
  const paint = (text: string) => (color ? styleText(style, text, { validateStream: false }) : text)
  const head = `${paint(mark)} ${padded(words.steps[step], WIDTH)} ${duration(seconds * 1_000).padStart(8)}`
  return `${[head, ...findings.flatMap((finding) => findingLines(finding, words)).map((line) => `    ${printable(line)}`)].join('\n')}\n`
}

/** Where it breaks, and the sentence that sums everything up. */
export function verdictLines(broken: StepName | undefined, sentence: string, { color, language }: Look): string {
  const words = DIAGNOSIS_WORDS[language]
  const paint = (text: string) => (color ? styleText('bold', text, { validateStream: false }) : text)
  return `\n${broken === undefined ? '' : `${words.breaksAt(words.steps[broken])}\n`}${paint(printable(sentence))}\n`
}

function findingLines(finding: Finding, words: DiagnosisWords): readonly string[] {
  switch (finding.kind) {
    case 'addresses': return [`${finding.host}: ${finding.addresses.join(', ') || words.noAddress} (${words.sources[finding.source]})`]
    case 'name_server': return [line(words.nameServer(finding.server, finding.host), finding.seconds, finding.failure, finding.addresses.join(', '))]
    case 'ping': return [finding.failure ? `${finding.address}: ${said(finding.failure)}` : `${finding.address}: ${words.answered(finding.received, finding.sent, duration((finding.rtt_seconds ?? 0) * 1_000))}`]
    case 'route': return [
      ...finding.hops.map(({ ttl, address, rtt_seconds: rtt }) => `${String(ttl).padStart(2)}  ${address ?? '*'}${rtt === undefined ? '' : `  ${duration(rtt * 1_000)}`}`),
      `${finding.address}: ${finding.failure ? said(finding.failure) : finding.end ? words.routeEnd(finding.end) : ''}`,
    ]
    case 'connection': return [line(`${finding.address} ${words.port} ${finding.port}`, finding.seconds, finding.failure, words.connected)]
    case 'handshake': return [
      line(`${finding.address} ${words.port} ${finding.port}`, finding.seconds, finding.failure, finding.version ?? ''),
      ...finding.certificates.map(({ subject, issuer, not_after: until }) => `  ${words.certificate(subject, issuer, until.slice(0, 10))}`),
    ]
    case 'phase': return [line(finding.name, finding.seconds, finding.failure, words.done)]
  }
}

function line(what: string, seconds: number, failure: Failure | undefined, well: string): string {
  return `${what}: ${failure ? said(failure) : well}  ${duration(seconds * 1_000)}`
}

function said({ layer, reason, message }: Failure): string {
  return `${layer}/${reason}: ${message}`
}

/** Chinese characters take two places of a terminal. */
function padded(text: string, width: number): string {
  const places = Array.from(text).reduce((sum, character) => sum + (character > '\u2e7f' ? 2 : 1), 0)
  return text + ' '.repeat(Math.max(0, width - places))
}
