import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { startChild, stuckChildren, type Child } from '../src/children.ts'
import { isAlive } from './support/children.ts'
import { eventually } from './support/process.ts'

const started: { readonly child: Child, readonly gone: Promise<string> }[] = []
const start = (script: string) => {
  const { promise: gone, resolve } = Promise.withResolvers<string>()
  const one = { child: startChild('/bin/sh', ['-c', script], resolve), gone }
  started.push(one)
  return one
}
afterEach(async () => {
  await Promise.all(started.splice(0).map(({ child, gone }) => {
    child.process.kill('SIGKILL')
    return gone
  }))
})

it('a child works away from every mount and knows nothing of ours', async () => {
  process.env['CURLEW_TEST_PASSWORD'] = 'canary'
  const { child } = start('pwd; env; read line; echo "$line"')
  let output = ''
  child.process.stdout.on('data', (chunk: Buffer) => { output += chunk.toString() })
  child.process.stdin.write('hello\n')
  await eventually(() => output.includes('hello'))
  delete process.env['CURLEW_TEST_PASSWORD']
  expect(output.split('\n')[0]).toBe('/')
  expect(output).not.toContain('canary')
  expect(output).toContain('PATH=')
})

it.each([['exit 3', 'it ended with 3'], ['kill -9 $$', 'it ended with SIGKILL']])('its end is told: %s', async (script, wanted) => {
  expect(await start(script).gone).toBe(wanted)
})

it('a program that is not there is gone at once', async () => {
  const why = await new Promise((resolve) => { startChild('/nonexistent/program', [], resolve) })
  expect(why).toContain('ENOENT')
})

it('none is started without a file descriptor to spare, and nothing else comes of that', async () => {
  const program = `
    const { openSync } = await import('node:fs')
    const { startChild } = await import(${JSON.stringify(join(import.meta.dirname, '../src/children.ts'))})
    try { for (;;) openSync('/dev/null') } catch {}
    let gone = false
    try { startChild('/bin/cat', [], () => { gone = true }) } catch (error) { var code = error.code }
    await new Promise((resolve) => setTimeout(resolve, 50))
    console.log(code, gone)`
  const said = await new Promise((resolve) => {
    execFile('/bin/sh', ['-c', 'ulimit -n 100; exec "$0" --input-type=module -e "$1"', process.execPath, program], { timeout: 8_000 }, (error, stdout) => resolve(error?.message ?? stdout))
  })
  expect(said).toBe('EMFILE false\n')
})

it('writing to one that has ended hurts nobody, and its complaint is kept in part', async () => {
  const { child, gone } = start('head -c 100000 /dev/zero | tr "\\0" x >&2; echo last words >&2; exec 0<&-; exit 1')
  child.process.stdin.write('x'.repeat(1_000_000))
  await gone
  await eventually(() => child.complaint().endsWith('last words\n'))
  expect(child.complaint().length).toBeLessThanOrEqual(2_000)
})

it('there are never more than 64, and the next one may start when one has ended', async () => {
  for (let count = 0; count < 64; count++) start('read line')
  expect(() => start('read line')).toThrow(/64 helper processes/)
  started[0]!.child.process.kill('SIGKILL')
  await started[0]!.gone
  expect(() => start('read line')).not.toThrow()
})

it('counts those that are stuck', () => {
  const [one, two] = [start('read line').child, start('read line').child]
  expect(stuckChildren()).toBe(0)
  one.stuck = true
  two.stuck = true
  expect(stuckChildren()).toBe(2)
  one.stuck = false
  expect(stuckChildren()).toBe(1)
})

it.each([
  ['keeps its parent from ending', 'true'],
  ['outlives a parent that ends by itself', 'process.exit(0)'],
  ['outlives a parent that is killed, as long as it reads its input', 'process.kill(process.pid, "SIGKILL")'],
])('none %s', async (_what, end) => {
  const program = `
    const { startChild } = await import(${JSON.stringify(join(import.meta.dirname, '../src/children.ts'))})
    const child = startChild('/bin/cat', [], () => {})
    console.log(child.pid)
    await new Promise((resolve) => setTimeout(resolve, 100))
    ${end}`
  const pid = await new Promise<number>((resolve) => {
    execFile(process.execPath, ['--input-type=module', '-e', program], { timeout: 8_000 }, (_error, stdout) => resolve(Number(stdout)))
  })
  expect(pid).toBeGreaterThan(1)
  await eventually(() => !isAlive(pid))
})
