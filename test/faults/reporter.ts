import { basename } from 'node:path'
import type { Reporter, TestCase, TestModule } from 'vitest/node'
import type { Row } from './table.ts'

/** What `npm run faults` prints: a line a fault, with what was expected and what Curlew said, and the total. */
export default class FaultReporter implements Reporter {
  readonly #rows: { readonly row: Row, readonly right: boolean }[] = []
  #broken = 0

  onTestCaseResult(test: TestCase): void {
    const { row } = test.meta()
    const { state, errors = [] } = test.result()
    const right = state === 'passed'
    if (!row) {
      this.#broken++
      return write([`✗ ${test.fullName}`, ...errors.map(({ message }) => `    ${message}`)])
    }
    this.#rows.push({ row, right })
    const { group, fault, like, expected, got, ms } = row
    write([
      `${right ? '✓' : '✗'} ${group.padEnd(11)} ${fault.padEnd(58)} ${expected.padEnd(88)} ${Math.round(ms).toString().padStart(6)} ms`,
      ...(right ? [] : [`    got ${got}`, ...errors.filter(({ name }) => name !== 'AssertionError').map(({ message }) => `    ${message}`)]),
      ...(right && like !== undefined ? [`    not told from: ${like}`] : []),
    ])
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly { readonly message: string }[]): void {
    // A file that does not load, a server that does not start or stop: the rows alone would not show it.
    const beside = modules.flatMap((module) => [module, ...module.children.allSuites()].flatMap((part) => part.errors().map(({ message }) => `${basename(module.moduleId)}: ${message}`)))
    const errors = [...beside, ...unhandled.map(({ message }) => message)]
    const healthy = this.#rows.filter(({ row }) => row.group === 'healthy')
    const faults = this.#rows.filter(({ row }) => row.group !== 'healthy')
    const right = (rows: readonly { readonly right: boolean }[]) => rows.filter((row) => row.right).length
    write([
      ...errors.map((message) => `✗ ${message}`),
      '',
      `${faults.length} faults, ${right(faults)} named right; ${healthy.length} healthy targets under stress, ${right(healthy)} never accused${this.#broken > 0 ? `; ${this.#broken} rows could not be tried` : ''}${errors.length > 0 ? `; ${errors.length} errors beside the rows` : ''}`,
    ])
  }
}

function write(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`)
}
