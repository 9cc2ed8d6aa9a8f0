#!/usr/bin/env node
// Plain JavaScript that Node 18 parses: everything that needs Node 24 is imported only once that is what runs.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'

const NEEDED = 24
const LAUNCHED = 'CURLEW_LAUNCHED'
const BAD_USAGE = 2
/** As in the image. Node that runs already has the bound of its own command line. */
const NODE_FLAGS = ['--max-semi-space-size=16']

const launched = process.env[LAUNCHED] !== undefined
delete process.env[LAUNCHED]

if (major(process.versions.node) >= NEEDED) {
  if (launched) dieWithLauncher()
  await run()
} else if (launched) {
  refuse(`the pinned runtime turned out to be ${process.versions.node}`)
} else {
  launch()
}

/** Source in a checkout, the bundle when published. */
async function run() {
  const source = new URL('../src/cli.ts', import.meta.url)
  const { main } = await import(existsSync(source) ? source.href : new URL('../dist/cli.js', import.meta.url).href)
  process.exitCode = await main(process.argv.slice(2))
}

/** The launcher holds the other end of the channel: when it closes, whatever ended the launcher, there is nobody to serve. */
function dieWithLauncher() {
  process.once('disconnect', () => {
    // process.exit() waits for libuv's pool, which hung file systems can fill for ever: kill once the exit handlers have run.
    process.once('exit', () => process.kill(process.pid, 'SIGKILL'))
    process.exit(1)
  })
  process.channel?.unref()
  if (process.connected === false) process.emit('disconnect')
}

function launch() {
  const { binary, problem } = pinnedRuntime()
  if (binary === undefined) return refuse(problem)

  // A session of its own: Ctrl-C reaches only the launcher, so that the child gets every signal exactly once, from here.
  const child = spawn(binary, [...NODE_FLAGS, ...process.argv.slice(1)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, [LAUNCHED]: '1' },
    detached: true,
  })
  const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']
  for (const signal of forwarded) process.on(signal, () => child.kill(signal))
  process.on('SIGTSTP', () => {
    child.kill('SIGSTOP')
    process.kill(process.pid, 'SIGSTOP')
  })
  process.on('SIGCONT', () => child.kill('SIGCONT'))

  child.once('error', (error) => refuse(`${binary} does not start (${error.message})`))
  child.once('exit', (code, signal) => {
    if (signal === null) process.exit(code)
    for (const name of forwarded) process.removeAllListeners(name)
    process.kill(process.pid, signal)
    // Node keeps SIGUSR1 for its debugger, and some signals are ignored: then the shell's number says it.
    setTimeout(() => process.exit(128 + constants.signals[signal]), 100)
  })
}

/** The runtime that the development dependency `node` brings into a checkout. */
function pinnedRuntime() {
  let manifest
  try {
    manifest = createRequire(import.meta.url).resolve('node/package.json')
  } catch {
    return { problem: 'and no other is installed beside it' }
  }
  const binary = join(dirname(manifest), 'bin', 'node')
  const { version } = JSON.parse(readFileSync(manifest, 'utf8'))
  if (major(version) < NEEDED) return { problem: `and ${dirname(manifest)} is ${version}` }
  if (!existsSync(binary)) return { problem: `and the pinned ${version} is not there because install scripts were blocked: npm rebuild node --ignore-scripts=false fetches it` }
  return { binary }
}

function refuse(problem) {
  process.stderr.write(`curlew: needs Node ${NEEDED} or newer, this is ${process.versions.node}, ${problem}.\n`)
  process.exit(BAD_USAGE)
}

function major(version) {
  return Number(version.split('.')[0])
}
