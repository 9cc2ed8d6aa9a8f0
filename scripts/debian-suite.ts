// Servers newer than this Debian's own, taken from another suite's packages and kept beside it: nothing of them is installed.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

export interface SuitePackage {
  readonly suite: string
  readonly name: string
  readonly why: string
  /** What is downloaded. */
  readonly packages: readonly string[]
  /** What is kept of them, by name; found under usr/bin or usr/sbin. */
  readonly commands: readonly [string, ...string[]]
  /** Folders that are kept beside the commands, by their last name. */
  readonly folders?: readonly string[]
  /** Its programs need more than this machine's libc, or a newer one: what the packages depend on comes too, and the libraries that the commands load are kept. */
  readonly ownLibraries?: true
  /** What makes a command tell its version: `--version` unless given. */
  readonly version?: readonly string[]
}

/** A stable Debian keeps the Prometheus that it came with; the unstable suite has the current one. */
export const SID_PROMETHEUS: SuitePackage = {
  suite: 'sid', name: 'prometheus', why: 'a real scrape by a current Prometheus, and its promtool',
  packages: ['prometheus', 'promtool'], commands: ['prometheus', 'promtool'],
}

/** A stable Debian has MariaDB only. */
export const SID_MYSQL: SuitePackage = {
  suite: 'sid', name: 'mysql', why: 'the mysql probe, on MySQL itself',
  packages: ['mysql-server-core'], commands: ['mysqld'], folders: ['usr/share/mysql/english', 'usr/share/mysql/charsets'], ownLibraries: true,
}

/** kubectl with kustomize 5: a stable Debian's has none of them. */
export const SID_KUBECTL: SuitePackage = {
  suite: 'sid', name: 'kubectl', why: 'the manifests, by the kustomize that installs them',
  packages: ['kubectl'], commands: ['kubectl'], version: ['version', '--client'],
}

/** With WAITAOF (7.2), by which a replica knows that what it has written is on the server's disk. */
export const SID_REDIS: SuitePackage = {
  suite: 'sid', name: 'redis', why: 'the outbox that replicas share, on a current Redis',
  packages: ['redis-server', 'redis-tools'], commands: ['redis-server'], ownLibraries: true,
}

/** Under the kube-apiserver of `npm run test:kubernetes`; no other suite needs it. */
export const SID_ETCD: SuitePackage = {
  suite: 'sid', name: 'etcd', why: 'a real Kubernetes API', packages: ['etcd-server'], commands: ['etcd'],
}

/** What `npm test` needs. */
export const SUITE_PACKAGES: readonly SuitePackage[] = [SID_PROMETHEUS, SID_MYSQL, SID_KUBECTL, SID_REDIS]

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** Where a command of the package lies once it is unpacked. */
export function suiteCommand(entry: SuitePackage, command: string): string {
  return join(folderOf(entry), command)
}

/** Whether it was unpacked to its end, by this table's row: the stamp is written last. */
export function isUnpacked(entry: SuitePackage): boolean {
  try {
    for (const command of entry.commands) accessSync(suiteCommand(entry, command), constants.X_OK)
    return readFileSync(stampOf(entry), 'utf8') === contentOf(entry)
  } catch {
    return false
  }
}

/** Downloads and unpacks; what an earlier try left is thrown away first. Needs no root. Throws an Error that says why it could not. */
export function unpack(entry: SuitePackage): void {
  const folder = folderOf(entry)
  const work = `${folder}.work`
  for (const path of [folder, work]) rmSync(path, { recursive: true, force: true })
  const at = (...names: string[]) => join(work, ...names)
  for (const path of [folder, at('lists', 'partial'), at('cache', 'archives', 'partial'), at('debs'), at('root')]) mkdirSync(path, { recursive: true })
  try {
    writeFileSync(at('status'), '')
    writeFileSync(at('sources.list'), `deb [signed-by=${KEYRING}] ${mirror()} ${entry.suite} main\n`)
    // A state of its own: the machine's apt neither sees this suite nor waits for a lock. Proxies and credentials stay the machine's.
    const apt = (...args: string[]) => run('apt-get', [
      ...Object.entries({
        'Dir::State': work, 'Dir::State::lists': at('lists'), 'Dir::State::status': at('status'), 'Dir::Cache': at('cache'),
        'Dir::Etc::sourcelist': at('sources.list'), 'Dir::Etc::sourceparts': '/dev/null', 'Dir::Etc::preferences': '/dev/null', 'Dir::Etc::preferencesparts': '/dev/null',
        'APT::Default-Release': entry.suite, 'APT::Sandbox::User': 'root', 'Acquire::Languages': 'none', 'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
        'Acquire::Retries': '2', 'Acquire::http::Timeout': '30', 'Acquire::https::Timeout': '30',
      }).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
      '-q', ...args,
    ], at('debs'))
    // Without this an index that cannot be had is only a warning.
    apt('-o', 'APT::Update::Error-Mode=any', 'update')
    if (entry.ownLibraries) apt('install', '--yes', '--download-only', '--no-install-recommends', '-o', `Dir::Cache::archives=${at('debs')}`, ...entry.packages)
    else apt('download', ...entry.packages)
    for (const deb of readdirSync(at('debs')).filter((name) => name.endsWith('.deb'))) run('dpkg-deb', ['--extract', deb, at('root')], at('debs'))
    for (const path of entry.folders ?? []) renameSync(at('root', path), join(folder, basename(path)))
    for (const command of entry.commands) {
      const program = ['bin', 'sbin'].map((place) => at('root', 'usr', place, command)).find((path) => existsSync(path))
      if (program === undefined) throw new Error(`${entry.packages.join(', ')} of ${entry.suite} has no ${command}`)
      if (entry.ownLibraries) withLibraries(program, at('root'), folder)
      else renameSync(program, suiteCommand(entry, command))
      run(suiteCommand(entry, command), entry.version ?? ['--version'], work)
    }
    writeFileSync(stampOf(entry), contentOf(entry))
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** Puts a program into `folder` with every library that it loads, the dynamic loader among them, and a script of its name that starts it so. */
function withLibraries(program: string, root: string, folder: string): void {
  const usrLib = join(root, 'usr', 'lib')
  const libraries = readdirSync(usrLib).map((name) => join(usrLib, name)).find((path) => path.endsWith('-linux-gnu'))
  const loader = libraries && readdirSync(libraries).find((name) => /^ld-linux.*\.so\.\d$/.test(name))
  if (!libraries || !loader) throw new Error(`no dynamic loader below ${usrLib}`)
  const lib = join(folder, 'lib')
  mkdirSync(lib, { recursive: true })
  const listed = run(join(libraries, loader), ['--library-path', libraries, '--list', program])
  const loaded = Array.from(listed.matchAll(/=> (\/\S+)/g), ([, path]) => path ?? '')
  for (const path of [join(libraries, loader), ...loaded]) copyFileSync(path, join(lib, basename(path)))
  const name = basename(program)
  // It may be a link: some programs are one that looks at its name.
  renameSync(realpathSync(program), join(lib, name))
  writeFileSync(join(folder, name), `#!/bin/sh\nlib=$(dirname "$0")/lib\nexec "$lib/${loader}" --library-path "$lib" "$lib/${name}" "$@"\n`, { mode: 0o755 })
}

function folderOf({ suite, name }: SuitePackage): string {
  return join(import.meta.dirname, '..', '.cache', 'debian', suite, name)
}

function stampOf(entry: SuitePackage): string {
  return join(folderOf(entry), '.complete')
}

function contentOf({ packages, commands, folders = [] }: SuitePackage): string {
  return `${[packages, commands, folders].map((names) => names.join(' ')).join(': ')}\n`
}

/** The mirror that the machine's own Debian comes from: apt itself reads its .list and .sources files, whether it has their indexes or not. */
function mirror(): string {
  const targets = run('apt-get', ['indextargets', '--no-release-info', '--format', '$(COMPONENT) $(SITE)']).split('\n').map((line) => line.split(' '))
  const sites = targets.flatMap(([component, site]) => (component === 'main' && site !== undefined ? [site] : []))
  // Other archives have a main component too; what is not Debian's is refused for its signature.
  const site = sites.find((uri) => /\/debian\/?$/.test(uri)) ?? sites[0]
  if (site === undefined) throw new Error('apt\'s sources name no mirror')
  return site
}

/** Returns what it printed; throws with the line of its complaint that says most. */
function run(command: string, args: readonly string[], cwd?: string): string {
  const { status, signal, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8', timeout: 300_000, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C.UTF-8' }, ...(cwd === undefined ? {} : { cwd }),
  })
  if (error) throw new Error(`${command} could not be run to its end: ${error.message}`)
  if (status === 0) return stdout
  const complaints = stderr.trim().split('\n')
  throw new Error(complaints.find((line) => line.startsWith('E: ')) ?? (complaints.at(-1) || `${command} ended with ${status ?? signal}`))
}
