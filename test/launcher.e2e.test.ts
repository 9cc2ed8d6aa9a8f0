import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually, temporaryDirectory } from './support/process.ts'

const root = fileURLToPath(new URL('../', import.meta.url))
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const

/** A command line that does as it is told; the launcher does not care which one it starts. */
const CLI = `
export async function main([what, value]) {
  if (what === 'exit') process.exit(Number(value))
  if (what === 'return') return Number(value)
  if (what === 'say') console.log(JSON.stringify({ node: process.versions.node, arguments: process.argv.slice(2), launched: process.env.CURLEW_LAUNCHED ?? null }))
  if (what === 'wait') {
    for (const signal of ${JSON.stringify(SIGNALS)}) process.on(signal, () => console.log(signal))
    setInterval(() => {}, 1000)
    console.log('pid ' + process.pid)
    return new Promise(() => {})
  }
  if (what === 'die') {
    process.kill(process.pid, value)
    return new Promise((resolve) => setTimeout(resolve, 5000, 0))
  }
  return 0
}
`

/** An older Node of this machine, or this one told to say that it is older: what starts in its place is real either way. */
const OLD_NODE = await findOldNode() ?? [process.execPath, '--import', 'data:text/javascript,Object.defineProperty(process.versions,"node",{value:"20.1.0"})']

const home = temporaryDirectory()
const launcher = join(home.path, 'bin', 'curlew.js')
const pinned = join(home.path, 'node_modules', 'node')
const running = new Set<ChildProcess>()

beforeAll(() => {
  for (const folder of ['bin', 'src', 'node_modules/.bin', 'node_modules/node/bin']) mkdirSync(join(home.path, folder), { recursive: true })
  copyFileSync(join(root, 'bin/curlew.js'), launcher)
  writeFileSync(join(home.path, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(home.path, 'src/cli.ts'), CLI)
  writeFileSync(join(pinned, 'package.json'), JSON.stringify({ name: 'node', version: process.versions.node }))
  symlinkSync(process.execPath, join(pinned, 'bin/node'))
  symlinkSync(launcher, join(home.path, 'node_modules/.bin/curlew'))
})

afterAll(() => {
  for (const child of running) child.kill('SIGKILL')
  home.remove()
})

describe.each([['under an old Node', OLD_NODE], ['under a current Node', [process.execPath]]] as const)('the launcher %s', (_name, node) => {
  it('runs the current one, with the arguments as they were', async () => {
    const { code, stdout, stderr } = await finish(start([...node, launcher, 'say', 'a b', '--c']))
    expect(JSON.parse(stdout)).toEqual({ node: process.versions.node, arguments: ['say', 'a b', '--c'], launched: null })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })

  it('works through a symlink', async () => {
    const { stdout } = await finish(start([...node, join(home.path, 'node_modules/.bin/curlew'), 'say']))
    expect(stdout).toContain(process.versions.node)
  })

  it.each([['exit', 0], ['exit', 3], ['return', 0], ['return', 2]])('mirrors %s %i', async (how, value) => {
    expect(await finish(start([...node, launcher, how, String(value)]))).toMatchObject({ code: value, signal: null })
  })

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGKILL'])('mirrors a death by %s', async (signal) => {
    expect(await finish(start([...node, launcher, 'die', signal]))).toMatchObject({ code: null, signal })
  })

  it('passes every signal on, once', async () => {
    const child = start([...node, launcher, 'wait'])
    const output = collect(child)
    await eventually(() => output.text.includes('pid '))
    for (const [index, signal] of SIGNALS.entries()) {
      child.kill(signal)
      await eventually(() => output.text.split('\n').length === index + 3, 5_000, `the arrival of ${signal}`)
    }
    child.kill('SIGKILL')
    expect(output.text.trim().split('\n').slice(1)).toEqual(SIGNALS)
  })
})

describe('the launcher under an old Node', () => {
  it('takes its child with it when it is killed with -9', async () => {
    const child = start([...OLD_NODE, launcher, 'wait'])
    const output = collect(child)
    const pid = Number((await eventually(() => /pid (\d+)\n/.exec(output.text)))[1])
    expect(pid).not.toBe(child.pid)
    expect(isAlive(pid)).toBe(true)
    child.kill('SIGKILL')
    await eventually(() => !isAlive(pid), 1_000, 'the end of the child')
  })

  it('passes Ctrl-C of a terminal on once, though it reaches the whole process group', async () => {
    const child = spawn(OLD_NODE[0] ?? '', [...OLD_NODE.slice(1), launcher, 'wait'], { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    running.add(child)
    const output = collect(child)
    await eventually(() => output.text.includes('pid '))
    process.kill(-(child.pid ?? 0), 'SIGINT')
    await eventually(() => output.text.includes('SIGINT\n'))
    child.kill('SIGUSR2')
    await eventually(() => output.text.includes('SIGUSR2\n'))
    child.kill('SIGKILL')
    expect(output.text.match(/SIGINT/g)).toEqual(['SIGINT'])
  })

  it('says in one sentence what it needs when there is nothing to run', async () => {
    const lonely = temporaryDirectory()
    try {
      mkdirSync(join(lonely.path, 'bin'))
      copyFileSync(launcher, join(lonely.path, 'bin/curlew.js'))
      writeFileSync(join(lonely.path, 'package.json'), '{ "type": "module" }')
      const ended = await finish(start([...OLD_NODE, join(lonely.path, 'bin/curlew.js')]))
      expect(ended).toMatchObject({ code: 2, stdout: '' })
      expect(ended.stderr).toMatch(/^curlew: needs Node 24 or newer, this is \d+\.\d+\.\d+, and no other is installed beside it\.\n$/)
    } finally {
      lonely.remove()
    }
  })

  it('says how to get the pinned runtime when install scripts were blocked', async () => {
    const binary = join(pinned, 'bin/node')
    rmSync(binary)
    try {
      const ended = await finish(start([...OLD_NODE, launcher, 'say']))
      expect(ended).toMatchObject({ code: 2, stdout: '' })
      expect(ended.stderr).toMatch(/^curlew: needs Node 24 or newer, .* npm rebuild node --ignore-scripts=false fetches it\.\n$/)
    } finally {
      symlinkSync(process.execPath, binary)
    }
  })

  it('runs the command line of the checkout without a warning', async () => {
    const { code, stdout, stderr } = await finish(start([...OLD_NODE, join(root, 'bin/curlew.js'), '--help']))
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('Usage: curlew')
  })
})

describe('npx curlew', () => {
  it('works from the checkout without a registry', async () => {
    const cache = temporaryDirectory()
    try {
      const env = { ...process.env, npm_config_registry: 'http://127.0.0.1:9/', npm_config_cache: cache.path, npm_config_fetch_retries: '0' }
      const { code, stdout } = await finish(spawn('npx', ['curlew', '--help'], { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] }))
      expect(code).toBe(0)
      expect(stdout).toContain('Usage: curlew')
    } finally {
      cache.remove()
    }
  }, 30_000)
})

async function findOldNode(): Promise<[string] | undefined> {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'))
  for (const binary of folders.map((folder) => join(folder, 'node')).filter((path) => existsSync(path))) {
    const { stdout } = await promisify(execFile)(binary, ['-p', 'process.versions.node'])
    if (Number(stdout.split('.')[0]) < 24) return [binary]
  }
  return undefined
}

function start([command = '', ...args]: readonly string[]): ChildProcess {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  return child
}

function collect(child: ChildProcess): { text: string } {
  const output = { text: '' }
  child.stdout?.on('data', (chunk: Buffer) => { output.text += chunk.toString() })
  return output
}

/** Waits for its end and its output. */
async function finish(child: ChildProcess): Promise<{ code: number | null, signal: NodeJS.Signals | null, stdout: string, stderr: string }> {
  const output = collect(child)
  let stderr = ''
  child.stderr?.on('data', (chunk: Buffer) => { stderr += chunk.toString() })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      running.delete(child)
      resolve({ code, signal, stdout: output.text, stderr })
    })
  })
}

/** A zombie has ended; only its entry is left until its new parent looks. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return process.platform !== 'linux' || !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
