import { ProbeFailure, type CodeSpec } from '../../core/probe.ts'
import { DiskHung, type Disk } from './disk.ts'

/** What a mount can be found guilty of. */
export const MOUNT_CODES = {
  mount_not_mounted: { layer: 'connect', reason: 'not_found', en: 'Nothing is mounted there, and what is written goes to the disk below: mount it, and look for why it went in the log of its unit or driver.', zh: '该路径上没有挂载任何文件系统，写入的数据会落到下层磁盘：请重新挂载，并在其 unit 或驱动的日志中查找原因。' },
  mount_wrong_type: { layer: 'connect', reason: 'not_found', en: 'A file system of another type is mounted there than expected: look at fstab, the unit or the volume.', zh: '挂载的文件系统类型与预期不符：请检查 fstab、挂载单元或卷配置。' },
  mount_wrong_device: { layer: 'connect', reason: 'not_found', en: 'Something else is mounted there than the expected device: look at fstab, the unit or the volume.', zh: '挂载的设备与预期不符：请检查 fstab、挂载单元或卷配置。' },
  mount_not_directory: { layer: 'connect', reason: 'not_found', en: 'The path is no directory: name the directory that is mounted.', zh: '该路径不是目录：请填写挂载点目录。' },
  mount_single_file: { layer: 'prober', reason: 'unsupported', en: 'A single file is mounted there, as from a subPath, not a directory: name a directory of that file system.', zh: '该处挂载的是单个文件（如 subPath），而非目录：请填写该文件系统的某个目录。' },
  mount_disconnected: { layer: 'connect', reason: 'stale', en: 'The process that serves the mount is gone (ENOTCONN): look for why it died, unmount with umount -l and mount again.', zh: '提供该挂载的进程已退出（ENOTCONN）：请查明退出原因，用 umount -l 卸载后重新挂载。' },
  mount_shut_down: { layer: 'connect', reason: 'stale', en: 'The mount was shut down (ESHUTDOWN): an evicted Ceph client is on the blocklist; mount again when the cluster is well.', zh: '该挂载已被关闭（ESHUTDOWN）：Ceph 客户端可能已被驱逐并列入 blocklist，请在集群恢复后重新挂载。' },
  mount_blocklisted: { layer: 'connect', reason: 'stale', en: 'It is mounted, but its root does not exist: a Ceph client on the blocklist answers so (ceph osd blocklist ls); mount again.', zh: '已挂载，但根目录不存在：被列入 blocklist 的 Ceph 客户端会如此应答（ceph osd blocklist ls），请重新挂载。' },
  mount_root_gone: { layer: 'connect', reason: 'stale', en: 'It is mounted, but its root is gone: the directory was deleted on the server, or below a bind mount; mount again.', zh: '已挂载，但根目录已不存在：目录可能在服务器上或绑定挂载的源端被删除，请重新挂载。' },
  mount_stale: { layer: 'connect', reason: 'stale', en: 'The server no longer knows what is mounted (ESTALE): it was exported anew or restored; mount again.', zh: '服务器已不认识该挂载（ESTALE）：可能被重新导出或恢复过，请重新挂载。' },
  mount_device_gone: { layer: 'connect', reason: 'stale', en: 'The device below the file system is gone: look whether the volume is still attached to this machine.', zh: '文件系统下层的设备已消失：请检查该卷是否仍挂接在本机。' },
  mount_unreachable: { layer: 'network', reason: 'unreachable', en: 'The file system cannot reach its server: look at the network and at the server.', zh: '文件系统无法连接其服务器：请检查网络与服务器。' },
  mount_gave_up: { layer: 'request', reason: 'timeout', en: 'The file system itself gave up waiting for its server (ETIMEDOUT), as soft mounts do: applications get errors and may lose data.', zh: '文件系统等待服务器超时后放弃（ETIMEDOUT，软挂载的行为）：应用会收到错误并可能丢失数据。' },
  mount_hung: { layer: 'request', reason: 'hung', en: 'A call to the file system does not come back: everything that touches it hangs; look at the health of its servers (ceph health detail, the NFS server) and at dmesg.', zh: '文件系统调用一直没有返回：访问它的一切都会挂起；请检查其服务端状态（ceph health detail、NFS 服务器）与 dmesg。' },
  mount_read_only: { layer: 'request', reason: 'read_only', en: 'It is mounted read-only, or has turned read-only after an error: look at dmesg, and set mode: read-only if it is meant to be so.', zh: '以只读方式挂载，或因错误变为只读：请查看 dmesg；若本应只读，请设置 mode: read-only。' },
  mount_full: { layer: 'request', reason: 'full', en: 'There is no space or no inode left (ENOSPC).', zh: '空间或 inode 已用尽（ENOSPC）。' },
  mount_full_at_sync: { layer: 'request', reason: 'full', en: 'Writes are accepted and then lost, because there is no space left (ENOSPC at fsync): a quota of the pool, or a full cluster.', zh: '写入被接受后又丢失，因为空间已用尽（fsync 时返回 ENOSPC）：存储池配额已满或集群已满。' },
  mount_quota: { layer: 'request', reason: 'full', en: 'The quota of the directory, user or project is used up (EDQUOT).', zh: '目录、用户或项目的配额已用尽（EDQUOT）。' },
  mount_denied: { layer: 'request', reason: 'denied', en: 'The file system does not let the user of Curlew do this: look at the permissions, the capabilities of the client, root_squash, and on Ceph for a full cluster.', zh: '文件系统不允许 Curlew 的运行用户执行此操作：请检查权限、客户端 caps、root_squash；若为 Ceph，还请检查集群是否已满。' },
  mount_key_expired: { layer: 'request', reason: 'denied', en: 'The key that the mount logs in with has expired or was revoked: renew the ticket or the keytab.', zh: '该挂载所用的密钥已过期或被吊销：请更新票据或 keytab。' },
  mount_foreign_file: { layer: 'request', reason: 'denied', en: 'A file that Curlew has not written stands where the probe writes; it is left alone: look at whose it is, or set file.', zh: '探测文件的位置上有一个并非 Curlew 写入的文件，已保持原样：请确认其归属，或设置 file。' },
  mount_no_file: { layer: 'request', reason: 'not_found', en: 'The file of read_file is not there, or is no regular file.', zh: 'read_file 指定的文件不存在，或不是普通文件。' },
  mount_io_error: { layer: 'request', reason: 'other', en: 'The storage reports an input/output error (EIO): look at dmesg, and at the disk or the volume below.', zh: '存储报告输入/输出错误（EIO）：请查看 dmesg 以及下层磁盘或卷。' },
  mount_damaged: { layer: 'request', reason: 'other', en: 'The file system has found itself damaged: look at dmesg, and check it with fsck.', zh: '文件系统检测到自身损坏：请查看 dmesg 并用 fsck 检查。' },
  mount_unsupported: { layer: 'request', reason: 'unsupported', en: 'The file system cannot do what the probe wants: set mode: read-only.', zh: '该文件系统不支持探测所需的操作：请设置 mode: read-only。' },
  mount_wrong_value: { layer: 'assert', reason: 'mismatch', en: 'What is read is not what was written a moment before: caches that disagree, or somebody else who uses the same file.', zh: '读到的内容与刚写入的不一致：缓存不一致，或有其他程序使用同一文件。' },
  mount_other: { layer: 'request', reason: 'other', en: 'The file system answered with an error that has no code of its own: see the message.', zh: '文件系统返回了没有专属代码的错误：请查看消息。', unmapped: true },
} as const satisfies Readonly<Record<string, CodeSpec>>

export type MountCode = keyof typeof MOUNT_CODES

const BY_ERRNO: Readonly<Record<string, MountCode>> = {
  ENOTCONN: 'mount_disconnected', ESHUTDOWN: 'mount_shut_down', ESTALE: 'mount_stale',
  ENODEV: 'mount_device_gone', ENXIO: 'mount_device_gone',
  EHOSTDOWN: 'mount_unreachable', EHOSTUNREACH: 'mount_unreachable', ENETUNREACH: 'mount_unreachable', ENETDOWN: 'mount_unreachable',
  ECONNREFUSED: 'mount_unreachable', ECONNRESET: 'mount_unreachable', ECONNABORTED: 'mount_unreachable',
  ETIMEDOUT: 'mount_gave_up',
  EROFS: 'mount_read_only', ENOSPC: 'mount_full', EDQUOT: 'mount_quota',
  EACCES: 'mount_denied', EPERM: 'mount_denied',
  ENOKEY: 'mount_key_expired', EKEYEXPIRED: 'mount_key_expired', EKEYREVOKED: 'mount_key_expired', EKEYREJECTED: 'mount_key_expired',
  EIO: 'mount_io_error', EREMOTEIO: 'mount_io_error', EUCLEAN: 'mount_damaged', EBADMSG: 'mount_damaged',
  ENOSYS: 'mount_unsupported', ENOTSUP: 'mount_unsupported', EOPNOTSUPP: 'mount_unsupported', EINVAL: 'mount_unsupported',
  ENOENT: 'mount_root_gone', ENOTDIR: 'mount_not_directory', ELOOP: 'mount_not_mounted',
}

/** Errors of the worker's own machine: they say nothing of the file system. */
const OURS = ['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS']

type Call = Parameters<Disk['call']>[0]

/** What an error means in one call only. */
const IN_CALL: Partial<Record<Call, Readonly<Record<string, MountCode>>>> = {
  // Asked of autofs, which mounts then.
  list: { ENOENT: 'mount_not_mounted' },
  write: { EEXIST: 'mount_foreign_file' },
  fsync: { ENOSPC: 'mount_full_at_sync' },
  compare: { ENOENT: 'mount_wrong_value', EINVAL: 'mount_wrong_value', ELOOP: 'mount_wrong_value' },
  read: { ENOENT: 'mount_no_file', EINVAL: 'mount_no_file', EISDIR: 'mount_no_file', ENOTDIR: 'mount_no_file', ELOOP: 'mount_no_file' },
  unlink: { ENOENT: 'mount_wrong_value' },
}

/** The names of system calls, where ours say less. */
const SYSCALLS: Partial<Record<Call, string>> = { mounts: 'reading /proc/self/mountinfo', list: 'readdir', compare: 'read', release: 'close' }

/** What an error of a disk worker says of the mount at `path`. What is no error of the file system comes back as it is. */
export function mountFailure(error: unknown, call: Call, path: string): unknown {
  if (error instanceof DiskHung) {
    const what = `${SYSCALLS[error.call] ?? error.call} has not come back for ${secondsOf(error.sinceMs)}`
    // The table of mounts is the kernel's, not a file system's.
    return error.call === 'mounts' ? new ProbeFailure('prober_starved', what) : new ProbeFailure('mount_hung', `${path}: ${what}`)
  }
  if (error instanceof ProbeFailure || !(error instanceof Error && 'code' in error && typeof error.code === 'string')) return error
  const { code: errno } = error
  if (OURS.includes(errno)) return error
  if (call === 'mounts') return new ProbeFailure('prober_denied', `the table of mounts cannot be read: ${error.message}`)
  if (call === 'realpath' && errno === 'ENOENT') return new ProbeFailure('mount_not_mounted', `${path} does not exist`)
  const code = IN_CALL[call]?.[errno] ?? BY_ERRNO[errno] ?? 'mount_other'
  const syscall = 'syscall' in error && typeof error.syscall === 'string' ? error.syscall : SYSCALLS[call] ?? call
  const who = code === 'mount_denied' ? ` for uid ${process.getuid?.() ?? 'unknown'}` : ''
  return new ProbeFailure(code, `${syscall} of ${path}: ${errno}${who}`)
}

/** `0.4 s`, `12 s`, `5 min`. */
function secondsOf(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`
  return ms < 600_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`
}
