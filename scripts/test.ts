// npm test: installs what the tests need, runs the suites one after the other, and ends with the totals.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { z } from 'zod'

/**
 * What the names of the suite's vitest projects begin with, the seconds it may take on two shared cores, and how many files
 * run at a time: most of them wait for servers and timeouts.
 */
const SUITES = [
  { name: 'unit', budget: 90, workers: 5 },
  { name: 'servers', budget: 120, workers: 5 },
  { name: 'faults', budget: 150, workers: 5 },
  { name: 'e2e', budget: 90, workers: 3 },
  { name: 'chaos', budget: 45, workers: 1 },
] as const

const report = z.object({
  startTime: z.number(), numPassedTests: z.number(), numFailedTests: z.number(),
  testResults: z.array(z.object({ name: z.string(), status: z.string(), endTime: z.number(), assertionResults: z.array(z.object({ status: z.string(), fullName: z.string(), failureMessages: z.array(z.string()).default([]) })) })),
})

interface Tally {
  readonly passed: number
  readonly failed: number
  readonly seconds: number
  /** Sentences for the summary, beside what vitest has printed. */
  readonly complaints: readonly string[]
}

const root = join(import.meta.dirname, '..')

const install = spawnSync(process.execPath, [join(import.meta.dirname, 'test-install.ts')], { stdio: 'inherit' })
if (install.status !== 0) end(0, 1)

const tallies = SUITES.map(({ name, budget, workers }) => {
  const tally = runSuite(name, budget, workers)
  return { name, budget, ...tally }
})
console.log()
for (const { name, budget, seconds, passed, failed, complaints } of tallies) {
  console.log(`${name.padEnd(8)} ${String(passed).padStart(5)} passed ${String(failed).padStart(4)} failed ${seconds.toFixed(1).padStart(7)} s of ${budget} s`)
  for (const complaint of complaints) console.log(`  ${complaint}`)
}
end(sum(tallies.map(({ passed }) => passed)), sum(tallies.map(({ failed }) => failed)))

/** Runs one suite. What is no failed test but not right either counts as one failure, so that the totals show it. */
function runSuite(name: string, budget: number, workers: number): Tally {
  const scratch = mkdtempSync(join(tmpdir(), 'curlew-report-'))
  try {
    const output = join(scratch, 'report.json')
    const { status } = spawnSync(process.execPath, [
      join(root, 'node_modules/vitest/vitest.mjs'), 'run', `--project=${name}*`, `--maxWorkers=${workers}`, '--reporter=default', '--reporter=json', `--outputFile.json=${output}`,
    ], { cwd: root, stdio: 'inherit' })
    const { startTime, numPassedTests: passed, numFailedTests, testResults } = report.parse(JSON.parse(readFileSync(output, 'utf8')))
    // Until the last test has ended: now and then vitest waits a whole minute for a worker that has nothing left to do (its issue 8766).
    const seconds = (Math.max(...testResults.map(({ endTime }) => endTime)) - startTime) / 1000
    const late = seconds > budget ? [`took ${seconds.toFixed(1)} s, its budget is ${budget} s`] : []
    const idle = testResults.flatMap((file) => file.assertionResults).filter((test) => test.status !== 'passed' && test.status !== 'failed').map((test) => `did not run: ${test.fullName}`)
    // A file that does not load has failed without a failed test.
    const broken = testResults.filter((file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed')).map((file) => `did not load or clean up: ${file.name}`)
    const complaints = [...late, ...idle, ...broken]
    const failed = numFailedTests + complaints.length
    // Whoever sees only the end of the log must see which.
    const named = testResults.flatMap((file) => file.assertionResults.filter((test) => test.status === 'failed').map((test) => [`failed: ${test.fullName} (${relative(root, file.name)})`, ...firstLines(test.failureMessages[0] ?? '', file.name)].join('\n    ')))
    if (status !== 0 && failed === 0) return { passed, failed: 1, seconds, complaints: ['vitest failed though every test passed: see the errors above'] }
    return { passed, failed, seconds, complaints: [...complaints, ...named] }
  } catch (error) {
    return { passed: 0, failed: 1, seconds: 0, complaints: [`vitest left no report: ${error instanceof Error ? error.message : String(error)}`] }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** What a failure says, and where in the file of the test. */
function firstLines(failure: string, file: string): string[] {
  const [message = '', ...stack] = failure.split('\n')
  return [message, ...stack.filter((line) => line.includes(`${file}:`)).slice(0, 1).map((line) => line.trim())]
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

function end(passed: number, failed: number): never {
  console.log(`\n${passed} passed, ${failed} failed`)
  process.exit(failed > 0 ? 1 : 0)
}
