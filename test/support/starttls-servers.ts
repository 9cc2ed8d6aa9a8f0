import { execFile, execFileSync } from 'node:child_process'
import { chmodSync, chownSync, copyFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, startProcess, temporaryDirectory, type Running } from './process.ts'
import { listens } from './tcp.ts'

/** Where a server finds its certificate. */
interface Files {
  readonly certFile: string
  readonly keyFile: string
}

export interface StarttlsServer {
  readonly port: number
  readonly process: Running
}

const started = new Set<Running>()

/** Stops every server of this file that a test has left running. */
export async function stopStarttlsServers(): Promise<void> {
  await Promise.all(Array.from(started, (process) => process.stop('SIGKILL')))
  started.clear()
}

/** Exim: SMTP over GnuTLS. */
export async function startExim(tls: Files | undefined, lines: readonly string[] = []): Promise<StarttlsServer> {
  const [dir, port] = [directory(), await freePort()]
  const config = join(dir, 'exim.conf')
  chownSync(dir, idOf('Debian-exim'), 0)
  writeFileSync(config, [
    'keep_environment =', 'primary_hostname = mail.test', `local_interfaces = <; [127.0.0.1]:${port}`, `spool_directory = ${dir}`, `log_file_path = ${dir}/%slog`, `pid_file_path = ${dir}/pid`,
    ...(tls ? ['tls_advertise_hosts = *', `tls_certificate = ${join(dir, 'cert')}`, `tls_privatekey = ${join(dir, 'key')}`] : ['tls_advertise_hosts =']),
    ...lines, '',
  ].join('\n'))
  if (tls) keyFor('Debian-exim', dir, tls)
  return run(port, '/usr/sbin/exim4', ['-bdf', '-C', config])
}

/** Dovecot: IMAP and POP3 over OpenSSL. */
export async function startDovecot(tls: Files | undefined): Promise<{ readonly imap: StarttlsServer, readonly pop3: StarttlsServer }> {
  const [dir, imap, pop3] = [directory(), await freePort(), await freePort()]
  const config = join(dir, 'dovecot.conf')
  writeFileSync(config, `
base_dir = ${dir}/run
state_dir = ${dir}/state
log_path = /dev/stderr
protocols = imap pop3
listen = 127.0.0.1
ssl = ${tls ? 'yes' : 'no'}
${tls ? `ssl_cert = <${tls.certFile}\nssl_key = <${tls.keyFile}` : ''}
service imap-login {
  inet_listener imap {
    port = ${imap}
  }
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  inet_listener pop3 {
    port = ${pop3}
  }
  inet_listener pop3s {
    port = 0
  }
}
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=${dir}
}
`)
  const { process } = await run(imap, '/usr/sbin/dovecot', ['-F', '-c', config])
  return { imap: { port: imap, process }, pop3: { port: pop3, process } }
}

/** vsftpd: FTP over OpenSSL. It takes as many clients as told. */
export async function startVsftpd(tls: Files | undefined, lines: readonly string[] = []): Promise<StarttlsServer> {
  const [dir, port] = [directory(), await freePort()]
  mkdirSync(join(dir, 'empty'))
  const config = join(dir, 'vsftpd.conf')
  writeFileSync(config, [
    'listen=YES', 'listen_address=127.0.0.1', `listen_port=${port}`, 'background=NO', 'anonymous_enable=YES', `secure_chroot_dir=${dir}/empty`, `anon_root=${dir}/empty`, 'seccomp_sandbox=NO',
    ...(tls ? ['ssl_enable=YES', `rsa_cert_file=${tls.certFile}`, `rsa_private_key_file=${tls.keyFile}`] : []), ...lines, '',
  ].join('\n'))
  return run(port, '/usr/sbin/vsftpd', [config])
}

/** PostgreSQL, which does not run as root. */
export async function startPostgres(tls: Files | undefined, lines: readonly string[] = []): Promise<StarttlsServer> {
  const [dir, port] = [directory(), await freePort()]
  const [version = ''] = readdirSync('/usr/lib/postgresql').toSorted().toReversed()
  const command = (name: string) => ['--reuid=postgres', '--regid=postgres', '--clear-groups', join('/usr/lib/postgresql', version, 'bin', name)]
  const owner = idOf('postgres')
  chownSync(dir, owner, owner)
  const data = join(dir, 'data')
  await promisify(execFile)('setpriv', [...command('initdb'), '-D', data, '--no-sync', '--no-instructions', '-A', 'trust', '-U', 'postgres', '--locale=C'])
  if (tls) keyFor('postgres', dir, tls)
  writeFileSync(join(data, 'postgresql.auto.conf'), [
    `port = ${port}`, "listen_addresses = '127.0.0.1'", "unix_socket_directories = ''", 'fsync = off', 'shared_buffers = 1MB',
    ...(tls ? ['ssl = on', `ssl_cert_file = '${dir}/cert'`, `ssl_key_file = '${dir}/key'`] : []), ...lines, '',
  ].join('\n'))
  return run(port, 'setpriv', [...command('postgres'), '-D', data])
}

/** OpenLDAP's slapd, over GnuTLS. */
export async function startSlapd(tls: Files | undefined): Promise<StarttlsServer> {
  const [dir, port] = [directory(), await freePort()]
  mkdirSync(join(dir, 'data'))
  const config = join(dir, 'slapd.conf')
  writeFileSync(config, [
    'include /etc/ldap/schema/core.schema', `pidfile ${dir}/pid`, `argsfile ${dir}/args`,
    ...(tls ? [`TLSCertificateFile ${tls.certFile}`, `TLSCertificateKeyFile ${tls.keyFile}`] : []),
    'database ldif', 'suffix "dc=test"', `directory ${dir}/data`, '',
  ].join('\n'))
  return run(port, '/usr/sbin/slapd', ['-d', '0', '-f', config, '-h', `ldap://127.0.0.1:${port}`])
}

async function run(port: number, command: string, args: readonly string[]): Promise<StarttlsServer> {
  const process = await startProcess(command, args, { ready: () => listens(port) })
  started.add(process)
  return { port, process }
}

/** Servers look into it under names of their own. */
function directory(): string {
  const { path } = temporaryDirectory()
  chmodSync(path, 0o755)
  return path
}

/** Certificate and key as `cert` and `key` of the directory, for a server that gives up its rights before it reads them. */
function keyFor(user: string, dir: string, { certFile, keyFile }: Files): void {
  for (const [name, file] of [['cert', certFile], ['key', keyFile]] as const) {
    copyFileSync(file, join(dir, name))
    chownSync(join(dir, name), idOf(user), 0)
    chmodSync(join(dir, name), 0o600)
  }
}

function idOf(user: string): number {
  return Number(execFileSync('id', ['-u', user], { encoding: 'utf8' }))
}
