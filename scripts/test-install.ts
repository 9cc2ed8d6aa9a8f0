// npm run test:install: the real servers that the tests run against, from Debian's packages.
import { execFile, spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, globSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, delimiter, join } from 'node:path'
import { isUnpacked, SUITE_PACKAGES, suiteCommand, unpack } from './debian-suite.ts'

interface Package {
  readonly name: string
  readonly why: string
  /** What must be found for the package to count as installed. */
  readonly commands: readonly string[]
  /** And where it is a library, that: absolute paths, with patterns. */
  readonly files?: readonly string[]
  /** Prints its version; the first line with a digit is shown. */
  readonly version: readonly [command: string, ...args: string[]]
}

const PACKAGES: readonly Package[] = [
  { name: 'redis-server', why: 'the redis probe', commands: ['redis-server', 'redis-cli'], version: ['redis-server', '--version'] },
  { name: 'memcached', why: 'the memcached probe', commands: ['memcached'], version: ['memcached', '--version'] },
  { name: 'sasl2-bin', why: 'accounts for memcached with SASL', commands: ['saslpasswd2'], version: ['dpkg-query', '-W', '-f', '${Version}', 'sasl2-bin'] },
  { name: 'unbound', why: 'the dns probe: NXDOMAIN, no data, refused, truncated, DoT', commands: ['unbound'], version: ['unbound', '-V'] },
  { name: 'bind9', why: 'the dns probe: SERVFAIL, zones with an SOA', commands: ['named'], version: ['named', '-v'] },
  { name: 'bind9-dnsutils', why: 'dig, to compare with', commands: ['dig'], version: ['dig', '-v'] },
  { name: 'dnsmasq-base', why: 'the dns probe: a forwarder', commands: ['dnsmasq'], version: ['dnsmasq', '--version'] },
  { name: 'prometheus', why: 'a real scrape, and promtool for what /metrics prints', commands: ['prometheus', 'promtool'], version: ['prometheus', '--version'] },
  { name: 'prometheus-alertmanager', why: 'the forwarder: real notifications', commands: ['prometheus-alertmanager', 'amtool'], version: ['prometheus-alertmanager', '--version'] },
  { name: 'iproute2', why: 'network namespaces, as machines of their own', commands: ['ip'], version: ['ip', '-V'] },
  { name: 'nftables', why: 'networks that lose, drop and reject', commands: ['nft'], version: ['nft', '--version'] },
  { name: 'fping', why: 'the ping probe where sockets are not allowed', commands: ['fping'], version: ['fping', '--version'] },
  { name: 'mariadb-server', why: 'the mysql probe', commands: ['mariadbd', 'mariadb-install-db'], version: ['mariadbd', '--version'] },
  { name: 'ceph-mon', why: 'the mount probe: a cluster of one', commands: ['ceph-mon'], version: ['ceph-mon', '--version'] },
  { name: 'ceph-osd', why: 'the mount probe: a cluster of one', commands: ['ceph-osd'], version: ['ceph-osd', '--version'] },
  { name: 'ceph-mds', why: 'the mount probe: a cluster of one', commands: ['ceph-mds'], version: ['ceph-mds', '--version'] },
  { name: 'ceph-mgr', why: 'the mount probe: the quota of a pool', commands: ['ceph-mgr'], version: ['ceph-mgr', '--version'] },
  { name: 'ceph-common', why: 'its command line', commands: ['ceph'], version: ['ceph', '--version'] },
  { name: 'ceph-fuse', why: 'the mount probe: a mount that hangs', commands: ['ceph-fuse'], version: ['ceph-fuse', '--version'] },
  { name: 'python3-fusepy', why: 'a file system whose faults are scripted', commands: [], files: ['/usr/bin/python3', '/usr/lib/python3/dist-packages/fusepy.py'], version: ['dpkg-query', '-W', '-f', '${Version}', 'python3-fusepy'] },
  { name: 'libfuse2', why: 'what that is written for', commands: [], files: ['/{usr/,}lib/*/libfuse.so.2'], version: ['dpkg-query', '-W', '-f', '${Version}', 'libfuse2'] },
  { name: 'fuse3', why: 'mounts without root', commands: ['fusermount3'], version: ['fusermount3', '--version'] },
  { name: 'exim4-daemon-light', why: 'the cert probe: STARTTLS of SMTP', commands: ['exim4'], version: ['dpkg-query', '-W', '-f', '${Version}', 'exim4-daemon-light'] },
  { name: 'dovecot-imapd', why: 'the cert probe: STARTTLS of IMAP', commands: ['dovecot'], files: ['/usr/lib/dovecot/imap-login'], version: ['dovecot', '--version'] },
  { name: 'dovecot-pop3d', why: 'the cert probe: STLS of POP3', commands: [], files: ['/usr/lib/dovecot/pop3-login'], version: ['dpkg-query', '-W', '-f', '${Version}', 'dovecot-pop3d'] },
  { name: 'vsftpd', why: 'the cert probe: AUTH TLS of FTP', commands: ['vsftpd'], version: ['dpkg-query', '-W', '-f', '${Version}', 'vsftpd'] },
  { name: 'slapd', why: 'the cert probe: StartTLS of LDAP', commands: ['slapd'], version: ['dpkg-query', '-W', '-f', '${Version}', 'slapd'] },
  { name: 'postgresql', why: 'the cert probe: SSLRequest of PostgreSQL', commands: [], files: ['/usr/lib/postgresql/*/bin/postgres'], version: ['psql', '--version'] },
  { name: 'openssl', why: 'a TLS server that refuses clients', commands: ['openssl'], version: ['openssl', 'version'] },
]

const LOCK = '/run/lock/curlew-test-install'
/** Locked itself while something is unpacked below it: each checkout has its own cache. */
const CHECKOUT = join(import.meta.dirname, '..')
const POLICY = '/usr/sbin/policy-rc.d'
const SET_ASIDE = `${POLICY}.curlew-set-aside`
const POLICY_MARK = '# curlew test:install: installing a server for the tests starts none'

// Debian keeps servers in sbin, which is not in everybody's PATH.
process.env['PATH'] = `${process.env['PATH'] ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`

/** What this process does when it is started again under a lock; another run may have done it while it waited. */
const UNDER_LOCK = { '--install': installMissing, '--unpack': unpackMissing }

const task = Object.entries(UNDER_LOCK).find(([flag]) => process.argv.includes(flag))?.[1]
if (task) task()
else {
  if (missing().length > 0 && mayInstall()) underLock(LOCK, '--install')
  if (!SUITE_PACKAGES.every(isUnpacked) && ['apt-get', 'dpkg-deb', 'flock'].every(onPath)) underLock(CHECKOUT, '--unpack')
  await report(missing())
}

/** flock(1) lets go when its process ends, however that happens. */
function underLock(lock: string, flag: keyof typeof UNDER_LOCK): void {
  spawnSync('flock', ['--timeout', '900', lock, process.execPath, import.meta.filename, flag], { stdio: 'inherit' })
}

async function report(still: readonly Package[]): Promise<void> {
  const rows = [
    ...PACKAGES.filter((entry) => !still.includes(entry)),
    ...SUITE_PACKAGES.filter(isUnpacked).map((entry) => ({ ...entry, name: `${entry.suite}/${entry.name}`, version: [suiteCommand(entry, entry.commands[0]), ...(entry.version ?? ['--version'])] as const })),
  ]
  const versions = await Promise.all(rows.map(versionOf))
  for (const [index, { name, why }] of rows.entries()) console.log(`${name.padEnd(14)} ${(versions[index] ?? '').padEnd(34)} ${why}`)
  const packed = SUITE_PACKAGES.filter((entry) => !isUnpacked(entry))
  if (packed.length > 0) {
    console.error(`curlew: the tests need ${packed.map(({ name, suite }) => `${name} of Debian's ${suite}`).join(', ')}, which could not be unpacked into .cache/debian: with apt-get, dpkg-deb, flock and a way to the mirror, try npm run test:install again.`)
  }
  if (still.length > 0) {
    const names = still.map(({ name }) => name).join(' ')
    console.error(`curlew: the tests need ${still.map(({ name, commands, files = [] }) => `${[...commands, ...files].join(' and ')} (${name})`).join(', ')}, which could not be had: as root run apt-get install -y --no-install-recommends ${names}.`)
  }
  if (packed.length + still.length > 0) process.exitCode = 1
}

function installMissing(): void {
  const absent = missing()
  if (absent.length > 0) install(absent)
}

function unpackMissing(): void {
  for (const entry of SUITE_PACKAGES.filter((one) => !isUnpacked(one))) {
    console.log(`unpacking ${entry.packages.join(', ')} of Debian's ${entry.suite}`)
    try {
      unpack(entry)
    } catch (error) {
      console.error(error instanceof Error ? error.message : String(error))
    }
  }
}

function missing(): Package[] {
  return PACKAGES.filter(({ commands, files = [] }) => !(commands.every(onPath) && files.every((pattern) => globSync(pattern).length > 0)))
}

function onPath(command: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

function mayInstall(): boolean {
  return process.getuid?.() === 0 && onPath('apt-get') && onPath('flock')
}

function install(packages: readonly Package[]): void {
  const names = packages.map(({ name }) => name)
  console.log(`installing ${names.join(', ')}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const apt = (...args: string[]) => {
    const { status, stderr } = spawnSync('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=300', ...args], { env, stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' })
    if (status !== 0) console.error(stderr.trimEnd())
    return status === 0
  }
  withoutServices(() => {
    const ok = apt('update') && apt('install', '-y', '--no-install-recommends', ...names)
    // One package that cannot be had must not keep the others away.
    if (!ok) for (const name of names) apt('install', '-y', '--no-install-recommends', name)
  })
  // Nor do they start with the machine the next time.
  const owned = spawnSync('dpkg', ['-L', ...names], { encoding: 'utf8' }).stdout.split('\n')
  const units = owned.filter((path) => path.includes('/systemd/system/') && path.endsWith('.service')).map((path) => basename(path))
  if (units.length > 0 && onPath('systemctl')) spawnSync('systemctl', ['--quiet', 'disable', ...units], { stdio: 'ignore' })
}

/** Debian's own switch for this: a policy that answers 101 starts nothing. */
function withoutServices(work: () => void): void {
  const left = existsSync(POLICY) && readFileSync(POLICY, 'utf8').includes(POLICY_MARK)
  if (existsSync(POLICY) && !left) renameSync(POLICY, SET_ASIDE)
  writeFileSync(POLICY, `#!/bin/sh\n${POLICY_MARK}\nexit 101\n`, { mode: 0o755 })
  try {
    work()
  } finally {
    rmSync(POLICY, { force: true })
    if (existsSync(SET_ASIDE)) renameSync(SET_ASIDE, POLICY)
  }
}

function versionOf({ version: [command, ...args] }: Pick<Package, 'version'>): Promise<string> {
  return new Promise((resolve) => {
    execFile(command, args, { timeout: 10_000 }, (_error, stdout, stderr) => {
      const line = `${stdout}\n${stderr}`.split('\n').find((text) => /\d/.test(text)) ?? ''
      resolve(/\d+(?:\.\d+)+[^\s,()]*/.exec(line)?.[0] ?? line.trim())
    })
  })
}
