import { spawnSync } from 'node:child_process'

const INSIDE = 'CURLEW_BENCH_NAMESPACE'

/** Sockets that need no privilege for ICMP are opened here to everybody, and every address of 127/8 is this machine. */
const SETUP = 'ip link set lo up && echo "0 2147483647" > /proc/sys/net/ipv4/ping_group_range && exec "$@"'
const SETUP_WITHOUT_ROOT = SETUP.replace('0 2147483647', '0 0')

/**
 * Runs this program again in a network namespace of its own, which has loopback and nothing else: the servers may listen
 * on every address, no port is taken, and nobody's packet filter or traffic is measured. Returns the exit code of that
 * run, or undefined inside of it.
 */
export function insideNamespace(): number | undefined {
  if (process.env[INSIDE] !== undefined) return undefined
  const root = process.getuid?.() === 0
  const { status, error } = spawnSync('unshare', [
    ...(root ? [] : ['--map-root-user']), '--net', '--', 'sh', '-c', root ? SETUP : SETUP_WITHOUT_ROOT, 'sh', process.execPath, ...process.argv.slice(1),
  ], { stdio: 'inherit', env: { ...process.env, [INSIDE]: '1', PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` } })
  if (error) process.stderr.write(`curlew bench: needs unshare (util-linux) and ip (iproute2) for a network of its own: ${error.message}\n`)
  return status ?? 1
}
