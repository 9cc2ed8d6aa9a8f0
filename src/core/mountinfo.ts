/** A line of /proc/self/mountinfo: proc_pid_mountinfo(5). */
export interface Mount {
  /** Of this very mount: another one on the same path has another number. */
  readonly id: number
  readonly parent: number
  /** Device number as `major:minor`: the same for every mount of one file system. */
  readonly device: string
  readonly point: string
  readonly fstype: string
  /** What is mounted, as the file system names it: a block device, a server and a path, or any word. */
  readonly source: string
  readonly readOnly: boolean
}

/** The table of mounts, in the order of the kernel. Lines that are none are left out. */
export function parseMountinfo(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    // Optional fields, any number of them, end with a lone dash.
    const [before, after] = line.split(' - ')
    const [id, parent, device, , point, options] = before?.split(' ') ?? []
    const [fstype, source, superOptions] = after?.split(' ') ?? []
    if (device === undefined || point === undefined || options === undefined || fstype === undefined || source === undefined) return []
    // Either the mount alone is read-only or the whole file system; ext4 that found itself damaged stays rw and adds emergency_ro.
    const readOnly = [...options.split(','), ...superOptions?.split(',') ?? []].some((option) => option === 'ro' || option === 'emergency_ro')
    return [{ id: Number(id), parent: Number(parent), device, point: unescape(point), fstype: unescape(fstype), source: unescape(source), readOnly }]
  })
}

/**
 * The mounts that a path leads through, as the kernel walks: the last one holds it. A mount that another one hides is not
 * on the way, though the table still lists it. Links are not followed.
 */
export function mountsOnTheWay(mounts: readonly Mount[], path: string): Mount[] {
  const ids = new Set(mounts.map(({ id }) => id))
  const covering = mounts.filter(({ point }) => covers(point, path))
  const way: Mount[] = []
  for (;;) {
    const here = way.at(-1)
    const next = covering
      .filter((mount) => (here ? mount.parent === here.id : mount.parent === mount.id || !ids.has(mount.parent)) && !way.includes(mount))
      // The walk meets the shorter one first; of two on the same point the later one lies on top.
      .reduce<Mount | undefined>((first, mount) => (first && first.point.length < mount.point.length ? first : mount), undefined)
    if (!next) return way
    way.push(next)
  }
}

function covers(point: string, path: string): boolean {
  return point === '/' || path === point || path.startsWith(`${point}/`)
}

/** Spaces, tabs, newlines and backslashes stand as three octal digits. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}

/** File systems whose data comes over a network. */
const NETWORK_TYPES = /^(?:ceph|nfs4?|cifs|smb3|glusterfs|lustre|beegfs|gpfs|ocfs2|gfs2|orangefs|afs|fuse\.(?:ceph|ceph-fuse|glusterfs|sshfs|s3fs|rclone|juicefs|mfs|moosefs|seaweedfs|gcsfuse|goofys|blobfuse2?|cubefs|curvefs|nfs|smbnetfs|davfs2?))$/

/** Block devices that are a network's. */
const NETWORK_DEVICES = /^\/dev\/(?:longhorn\/|rbd|drbd|nbd)/

/** Mounts of a pod come and go with it, and stand below these; and what is no path to name, or was deleted. */
const NOT_TO_KEEP = /\/kubelet\/(?:pods|plugins)\/|\/(?:containerd|docker|containers|crio?)\/|\n|\/\/deleted$/

/** Where this machine has mounted storage of the network: one path for each file system, the shortest. */
export function networkMounts(mounts: readonly Mount[]): string[] {
  const paths = new Map<string, string>()
  for (const { device, point, fstype, source } of mounts) {
    if (!(NETWORK_TYPES.test(fstype) || NETWORK_DEVICES.test(source)) || NOT_TO_KEEP.test(point)) continue
    const known = paths.get(device)
    if (known === undefined || point.length < known.length) paths.set(device, point)
  }
  return [...paths.values()].sort()
}
