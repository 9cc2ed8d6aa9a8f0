"""A direct mount of autofs: whoever looks into it gets a tmpfs, or an error where the second argument says so.

autofs.py MOUNTPOINT [fail]. The packets are those of include/uapi/linux/auto_fs.h, protocol 5.
"""
import ctypes
import fcntl
import os
import struct
import sys

READY, FAIL = 0x9360, 0x9361
PACKET = 304

path = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)


def mount(source, fstype, options=''):
    if libc.mount(source.encode(), path.encode(), fstype.encode(), 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), f'mount of {fstype}')


# What its own process group looks at is not mounted for it.
os.setpgrp()
reading, writing = os.pipe()
mount('curlew', 'autofs', f'fd={writing},pgrp={os.getpgrp()},minproto=5,maxproto=5,direct')
os.close(writing)
root = os.open(path, os.O_RDONLY)
print('ready', flush=True)
while packet := os.read(reading, PACKET):
    token = struct.unpack_from('=iiI', packet)[2]
    if sys.argv[2:] == ['fail']:
        fcntl.ioctl(root, FAIL, token)
    else:
        mount('curlew', 'tmpfs')
        fcntl.ioctl(root, READY, token)
