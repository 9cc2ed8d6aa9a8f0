"""A file system in memory whose faults are told by a JSON file, read anew at every operation.

faulty_fs.py MOUNTPOINT FAULTS [SUBTYPE [cached]]. Cached, files can be mapped into memory, and what is read may not be asked
for. FAULTS maps an operation of FUSE (getattr, readdir, statfs, create, open, read, write,
flush, fsync, unlink, ...) or * to what happens to it:
  {"errno": "EIO"} or a number   it fails so
  {"hang": true}                 it does not return before the file says otherwise
  {"delay_ms": 300}              it takes longer
  {"most": 1000}                 write takes no more bytes than this at a time
  {"wrong": true}                read returns other bytes than were written
  {"answer": {...}}              fields of statfs
  {"path": "/x"}                 only there
"""
import errno
import json
import os
import stat
import sys
import time

# Debian's package, also where another Python comes first in PATH.
sys.path.append('/usr/lib/python3/dist-packages')
from fusepy import FUSE, FuseOSError, Operations  # noqa: E402

MOUNTPOINT, FAULTS = sys.argv[1:3]
SUBTYPE = sys.argv[3] if len(sys.argv) > 3 else 'faulty'
CACHED = 'cached' in sys.argv[4:]
BORN = time.time()


class Faulty(Operations):
    def __init__(self):
        self.files = {'/known': bytearray(b'known\n')}
        self.directories = {'/', '/sub'}

    def __call__(self, operation, path, *args):
        if operation not in ('init', 'destroy'):
            self.suffer(operation, path)
        return getattr(self, operation)(path, *args)

    def fault(self, operation, path):
        try:
            with open(FAULTS) as file:
                faults = json.load(file)
        except (OSError, ValueError):
            return {}
        fault = faults.get(operation) or faults.get('*') or {}
        return fault if fault.get('path', path) == path else {}

    def suffer(self, operation, path):
        fault = self.fault(operation, path)
        time.sleep(fault.get('delay_ms', 0) / 1000)
        while fault.get('hang'):
            time.sleep(0.02)
            fault = self.fault(operation, path)
        if 'errno' in fault:
            raise FuseOSError(fault['errno'] if isinstance(fault['errno'], int) else getattr(errno, fault['errno']))

    def getattr(self, path, fh=None):
        common = dict(st_uid=os.getuid(), st_gid=os.getgid(), st_atime=BORN, st_mtime=BORN, st_ctime=BORN)
        if path in self.directories:
            return dict(common, st_mode=stat.S_IFDIR | 0o755, st_nlink=2)
        if path not in self.files:
            raise FuseOSError(errno.ENOENT)
        return dict(common, st_mode=stat.S_IFREG | 0o644, st_nlink=1, st_size=len(self.files[path]))

    def readdir(self, path, fh):
        return ['.', '..'] + [os.path.basename(name) for name in {*self.files, *self.directories} if name != '/' and os.path.dirname(name) == path]

    def statfs(self, path):
        answer = dict(f_bsize=4096, f_frsize=4096, f_blocks=25600, f_bfree=12800, f_bavail=10240, f_files=1000, f_ffree=900, f_namemax=255)
        return {**answer, **self.fault('statfs', path).get('answer', {})}

    def create(self, path, mode, fi=None):
        self.files[path] = bytearray()
        return 1

    def open(self, path, flags):
        return 1

    def read(self, path, size, offset, fh):
        data = bytes(self.files[path][offset:offset + size])
        return data.swapcase() if self.fault('read', path).get('wrong') else data

    def write(self, path, data, offset, fh):
        data = data[:self.fault('write', path).get('most', len(data))]
        self.truncate(path, max(len(self.files[path]), offset))
        self.files[path][offset:offset + len(data)] = data
        return len(data)

    def truncate(self, path, length, fh=None):
        del self.files[path][length:]
        self.files[path].extend(bytes(length - len(self.files[path])))

    def fsync(self, path, datasync, fh):
        return 0

    def flush(self, path, fh):
        return 0

    def unlink(self, path):
        self.files.pop(path)


FUSE(Faulty(), MOUNTPOINT, foreground=True, nothreads=False, attr_timeout=0, entry_timeout=0, direct_io=not CACHED,
     fsname='faulty', subtype=SUBTYPE, allow_other=True)
