import { describe, expect, it } from 'vitest'
import { mountsOnTheWay, networkMounts, parseMountinfo } from '../../src/core/mountinfo.ts'

const ROOT = '22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard'

describe('a line of mountinfo', () => {
  it.each([
    ['no optional field', '36 22 0:40 / /data rw - nfs4 server:/export rw,addr=10.0.0.1', { id: 36, parent: 22, device: '0:40', point: '/data', fstype: 'nfs4', source: 'server:/export', readOnly: false }],
    ['several optional fields', '36 22 0:40 / /data rw shared:2 master:1 propagate_from:3 - ceph mon1,mon2:/ rw,name=admin', { point: '/data', fstype: 'ceph', source: 'mon1,mon2:/' }],
    ['escaped characters', String.raw`36 22 0:40 / /a\040b\011c\134d rw - fuse.sshfs me@host:/x\040y rw`, { point: '/a b\tc\\d', source: 'me@host:/x y' }],
    ['a mount that is read-only', '36 22 0:40 / /data ro,relatime - ext4 /dev/sdb rw', { readOnly: true }],
    ['a file system that is read-only', '36 22 0:40 / /data rw,relatime - ext4 /dev/sdb ro,errors=remount-ro', { readOnly: true }],
    ['a file system after an error', '36 22 0:40 / /data rw - ext4 /dev/sdb rw,emergency_ro', { readOnly: true }],
    ['an option that only looks read-only', '36 22 0:40 / /data rw - ext4 /dev/sdb rw,errors=remount-ro,proto=ro2', { readOnly: false }],
    ['no options of the file system', '36 22 0:40 / /data rw - autofs systemd-1', { fstype: 'autofs', readOnly: false }],
  ])('%s', (_what, line, wanted) => {
    expect(parseMountinfo(`${line}\n`)).toEqual([expect.objectContaining(wanted)])
  })

  it.each(['', 'nonsense', '36 22 0:40 / /data rw', '36 22 0:40 / /data rw - nfs4'])('%j is none', (line) => {
    expect(parseMountinfo(line)).toEqual([])
  })
})

describe('the way to a path', () => {
  const way = (lines: string[], path: string) => mountsOnTheWay(parseMountinfo([ROOT, ...lines].join('\n')), path).map(({ id }) => id)

  it.each([
    ['nothing mounted', [], '/data', [22]],
    ['a mount', ['36 22 0:40 / /data rw - tmpfs a rw'], '/data', [22, 36]],
    ['below a mount', ['36 22 0:40 / /data rw - tmpfs a rw'], '/data/x/y', [22, 36]],
    ['a path that begins with the same letters', ['36 22 0:40 / /data rw - tmpfs a rw'], '/database', [22]],
    ['a mount in a mount', ['36 22 0:40 / /data rw - tmpfs a rw', '37 36 0:41 / /data/sub rw - tmpfs b rw'], '/data/sub', [22, 36, 37]],
    ['one upon another', ['36 22 0:40 / /data rw - tmpfs a rw', '37 36 0:41 / /data rw - tmpfs b rw'], '/data', [22, 36, 37]],
    ['one upon another, listed the other way round', ['37 36 0:41 / /data rw - tmpfs b rw', '36 22 0:40 / /data rw - tmpfs a rw'], '/data', [22, 36, 37]],
    ['one that is hidden by a later mount above it', ['36 22 0:40 / /data/sub rw - tmpfs a rw', '37 22 0:41 / /data rw - tmpfs b rw'], '/data/sub', [22, 37]],
    ['a root upon the root', ['36 22 0:40 / / rw - overlay o rw', '37 36 0:41 / /data rw - tmpfs b rw'], '/data', [22, 36, 37]],
  ])('%s', (_what, lines, path, ids) => { expect(way(lines, path)).toEqual(ids) })

  it('starts at any mount in a chroot, which does not see its own root', () => {
    expect(mountsOnTheWay(parseMountinfo('36 22 0:40 / /data rw - tmpfs a rw'), '/data').map(({ id }) => id)).toEqual([36])
    expect(mountsOnTheWay(parseMountinfo('36 22 0:40 / /data rw - tmpfs a rw'), '/other')).toEqual([])
  })

  it('is found at once below thousands of others, be they on the same point', () => {
    const stack = Array.from({ length: 3_000 }, (_, index) => `${index + 2} ${index + 1} 0:9 / /data rw - tmpfs t rw`)
    const mounts = parseMountinfo(['1 0 8:1 / / rw - ext4 /dev/sda rw', ...stack].join('\n'))
    const began = performance.now()
    expect(mountsOnTheWay(mounts, '/data/x').at(-1)).toMatchObject({ id: 3_001 })
    expect(performance.now() - began).toBeLessThan(5_000)
  })

  it('ends where a mount is its own parent', () => {
    expect(mountsOnTheWay(parseMountinfo('1 1 0:2 / / rw - rootfs rootfs rw'), '/data').map(({ id }) => id)).toEqual([1])
  })
})

describe('storage of the network', () => {
  const found = (...lines: string[]) => networkMounts(parseMountinfo([ROOT, ...lines].join('\n')))

  it.each(['ceph', 'nfs', 'nfs4', 'cifs', 'smb3', 'glusterfs', 'fuse.ceph-fuse', 'fuse.glusterfs', 'fuse.sshfs', 'fuse.juicefs'])('%s is', (fstype) => {
    expect(found(`36 22 0:40 / /data rw - ${fstype} a rw`)).toEqual(['/data'])
  })

  it.each(['ext4', 'tmpfs', 'overlay', 'proc', 'fuse.lxcfs', 'fuse.gvfsd-fuse', 'fuse.portal', 'fusectl', 'nfsd', 'autofs', 'fuseblk'])('%s is not', (fstype) => {
    expect(found(`36 22 0:40 / /data rw - ${fstype} a rw`)).toEqual([])
  })

  it('is also a disk that a network brings', () => {
    expect(found('36 22 8:16 / /vol rw - ext4 /dev/longhorn/pvc-1 rw', '37 22 252:0 / /rbd rw - xfs /dev/rbd0 rw', '38 22 8:1 / /boot rw - ext4 /dev/sda1 rw')).toEqual(['/rbd', '/vol'])
  })

  it('is looked at once, however often it is mounted', () => {
    expect(found('36 22 0:40 / /srv/data/long rw - nfs4 s:/a rw', '37 22 0:40 /x /data rw - nfs4 s:/a rw')).toEqual(['/data'])
  })

  it.each(['/var/lib/kubelet/pods/1/volumes/v/mount', '/var/lib/kubelet/plugins/kubernetes.io/csi/x/globalmount', '/var/lib/k0s/kubelet/pods/1/v', '/run/containerd/x/rootfs', '/var/lib/docker/volumes/x'])('is left alone where pods come and go: %s', (point) => {
    expect(found(`36 22 0:40 / ${point} rw - ceph a:/ rw`)).toEqual([])
  })
})
