// Bundles the command line and every entry that runs in a thread or process of its own into dist/.
import { cpSync, existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { rolldown, type OutputChunk } from 'rolldown'

/**
 * dist/<name>.js for each; names must differ. Every file lies flat in dist/, so that code which starts a child as './x.ts' in a
 * checkout finds './x.js' beside itself here, whatever chunk it ends up in.
 */
const ENTRIES = ['src/cli.ts', 'src/exporter/bcrypt-worker.ts', 'src/notify/forwarder-worker.ts', 'src/probes/lib/disk-worker.ts', 'src/probes/lib/cert-pkcs12-worker.ts']

const root = join(import.meta.dirname, '..')
const dist = join(root, 'dist')

for (const entry of ENTRIES) if (!existsSync(join(root, entry))) throw new Error(`${entry} is listed in scripts/build.ts but is not there`)

rmSync(dist, { recursive: true, force: true })
const build = await rolldown({
  cwd: root,
  input: Object.fromEntries(ENTRIES.map((entry) => [basename(entry, '.ts'), entry])),
  platform: 'node',
  // 800 classes of the Kubernetes API that nobody asks for, and that rolldown cannot know to do nothing.
  treeshake: { moduleSideEffects: [{ test: /client-node\/dist\/gen\//, sideEffects: false }] },
  onLog(level, log) {
    // A dependency that is left out of the bundle works here and breaks where it is installed.
    if (level === 'warn') throw new Error(`${log.code ?? 'warning'}: ${log.message}`)
  },
})
const { output } = await build.write({
  dir: dist,
  format: 'esm',
  entryFileNames: '[name].js',
  chunkFileNames: '[name]-[hash].js',
  // V8 keeps a source that holds one Chinese character in two bytes a character: 5 MB of a process at rest.
  charset: 'ascii',
  comments: { legal: true, annotation: false, jsdoc: false },
})
await build.close()

const chunks = output.filter((file): file is OutputChunk => file.type === 'chunk')
// koffi's binaries, one folder for each machine that is installed here; src/probes/lib/libc.ts looks for its own beside the bundle.
const binaries = globSync('node_modules/@koromix/koffi-linux-*', { cwd: root }).sort()
for (const folder of binaries) cpSync(join(root, folder), join(dist, basename(folder)), { recursive: true })
if (binaries.length === 0) throw new Error('no binary of koffi is installed: npm ci must not leave out optional dependencies')

const packages = new Set([...chunks.flatMap(({ moduleIds }) => moduleIds).flatMap(packageOf), join(root, 'node_modules/koffi')])
writeFileSync(join(dist, 'THIRD-PARTY-LICENSES.txt'), [...packages].sort().map(license).join('\n'))
console.log(`dist/: ${chunks.length} files, ${Math.round(chunks.reduce((sum, { code }) => sum + code.length, 0) / 1024)} KB, ${packages.size} packages bundled, ${binaries.map((folder) => basename(folder)).join(', ')}`)

/** The folder of the package that a bundled module belongs to. */
function packageOf(module: string): string[] {
  const match = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(module.replace(/^\0/, ''))
  return match ? [match[0]] : []
}

/** Their licences ask that the notice travels with the code. */
function license(folder: string): string {
  // safe: npm has installed it, so the manifest has these
  const { name, version, license: terms } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name: string, version: string, license?: string }
  const [file] = globSync('{LICENSE,LICENCE,License,Licence,license,licence}*', { cwd: folder })
  const text = file === undefined ? `Licence: ${terms ?? 'not stated'}\n` : readFileSync(join(folder, file), 'utf8')
  return `${name} ${version}\n${'-'.repeat(40)}\n${text}\n`
}
