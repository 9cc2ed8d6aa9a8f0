import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { mountPoints, unmount } from './fuse.ts'
import { eventually, freePort, startProcess, temporaryDirectory, type Running } from './process.ts'

export interface Ceph {
  /** Where its file system is mounted by ceph-fuse. */
  readonly path: string
  readonly monitor: Running
  readonly osd: Running
  readonly mds: Running
  readonly fuse: Running
  /** Runs the command line `ceph`; resolves with what it prints. */
  command(...args: string[]): Promise<string>
  /** Several lines of it, in the time that one takes. */
  commands(lines: readonly string[]): Promise<string>
  /** Starts a manager, without its modules: nobody else counts what is in a pool. */
  startManager(): Promise<void>
  /** Mounts it once more, read-only; resolves with where. */
  mountReadOnly(): Promise<string>
  /** Sets an extended attribute, which is how quotas are set. */
  attribute(path: string, name: string, value: string): Promise<string>
  /** Ends everything, also what is stopped, and frees whatever hangs in it. */
  stop(): Promise<void>
}

/**
 * A Ceph of one monitor, one OSD in memory, one MDS and one client. Without a manager statfs tells a size of 0. Everybody is
 * started at once; each waits for the others. Needs root.
 */
export async function startCeph(): Promise<Ceph> {
  const directory = temporaryDirectory()
  const at = (name: string) => join(directory.path, name)
  const path = at('mnt')
  const readOnlyPath = at('ro')
  for (const name of ['mon', 'osd', 'mds', 'mgr', 'modules', 'mnt', 'ro']) mkdirSync(at(name))
  const fsid = randomUUID()
  const osdId = randomUUID()
  const address = `[v2:127.0.0.1:${await freePort()},v1:127.0.0.1:${await freePort()}]`
  const config = at('ceph.conf')
  writeFileSync(config, configOf(directory.path, fsid, address))

  const running: Running[] = []
  const run = (program: string, ...args: string[]) => output(program, ['-c', config, ...args])
  const start = async (program: string, ...args: string[]) => {
    // Each is ready when the mount is: one condition for them all.
    const one = await startProcess(program, ['-c', config, '-f', ...args], { ready: () => true })
    running.push(one)
    return one
  }
  const commands = (lines: readonly string[]) => output('ceph', ['-c', config], [...lines, ''].join('\n'))
  const stop = async () => {
    await Promise.all(running.map((one) => one.stop('SIGKILL')))
    for (const mounted of [path, readOnlyPath]) unmount(mounted)
    directory.remove()
  }

  try {
    await output('monmaptool', ['--create', '--fsid', fsid, '--addv', 'a', address, at('monmap')])
    await run('ceph-mon', '--mkfs', '-i', 'a', '--monmap', at('monmap'))
    const monitor = await start('ceph-mon', '-i', 'a')
    const making = run('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', osdId)
    const [osd, mds, fuse] = await Promise.all([making.then(() => start('ceph-osd', '-i', '0')), start('ceph-mds', '-i', 'a'), start('ceph-fuse', '-n', 'client.admin', path)])
    // Its shell takes several commands; to start it for each would take longer than they do.
    const said = await commands([`osd new ${osdId}`, 'osd pool create meta 8', 'osd pool create data 8', 'fs new cephfs meta data'])
    if (!said.includes('new fs with metadata pool')) throw new Error(`the file system was not made:\n${said}`)
    await eventually(() => mountPoints().includes(path), 20_000, `the mount of Ceph (${fuse.output()})`)
    return {
      path, monitor, osd, mds, fuse, stop, commands,
      command: (...args) => run('ceph', ...args),
      async startManager() { await start('ceph-mgr', '-i', 'a') },
      async mountReadOnly() {
        const client = await start('ceph-fuse', '-n', 'client.admin', '-o', 'ro', readOnlyPath)
        await eventually(() => mountPoints().includes(readOnlyPath), 20_000, `the read-only mount of Ceph (${client.output()})`)
        return readOnlyPath
      },
      attribute: (file, name, value) => output('/usr/bin/python3', ['-c', 'import os, sys; os.setxattr(sys.argv[1], sys.argv[2], sys.argv[3].encode())', file, name, value]),
    }
  } catch (error) {
    await stop()
    throw error
  }
}

function configOf(directory: string, fsid: string, address: string): string {
  return `[global]
fsid = ${fsid}
mon host = ${address}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
auth cluster required = none
auth service required = none
auth client required = none
keyring = ${directory}/keyring
run dir = ${directory}
crash dir = ${directory}
admin socket = ${directory}/$name.asok
log file = ${directory}/$name.log
setuser match path =
osd pool default size = 1
osd pool default min size = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
[mon]
# A monitor alone need not gather what it is told for a second, and looks soon at what is full.
paxos propose interval = 0.05
paxos min wait = 0.01
mon tick interval = 1
mon data = ${directory}/mon
mon data avail warn = 1
mon data avail crit = 1
[osd]
osd data = ${directory}/osd
osd objectstore = memstore
osd class update on start = false
# How soon the monitor hears that it is full.
osd heartbeat interval = 1
[mds]
mds data = ${directory}/mds
# A stopped MDS must stay the active one.
mds beacon interval = 1
mds beacon grace = 60
[mgr]
mgr data = ${directory}/mgr
mgr module path = ${directory}/modules
mgr stats period = 1
mgr tick period = 1
[client]
fuse require active mds = false
admin socket =
log file =
`
}

/** What a command prints; rejects with it when it fails or takes longer than 20 s. */
function output(program: string, args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { timeout: 20_000 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${program} ${args.join(' ')}: ${error.message}\n${stderr}`))
      else resolve(stdout + stderr)
    })
    child.stdin?.end(input)
  })
}
