import { createRequire } from 'node:module'
import { endianness } from 'node:os'
import { getSystemErrorMessage } from 'node:util'
import type Koffi from 'koffi'
import { CLOCK_REALTIME, MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_NONBLOCK } from './libc-constants.ts'
import { fixedBuffer, type Batch } from './libc-message.ts'

/** What the kernel refused, as Node's own system errors are made. */
export interface LibcError extends Error {
  readonly code: string
  readonly syscall: string
}

/**
 * System calls on sockets that Node does not have, in this process. None of them ever waits: every socket is made
 * non-blocking and every call says so again. They throw a LibcError, except where "not now" is a value. A file
 * descriptor belongs to who opened it: `close` it exactly once.
 */
export interface Libc {
  /** A new socket, non-blocking and closed in children. */
  socket(family: number, type: number, protocol: number): number
  close(fd: number): void
  /** A number is set as an int. */
  setsockopt(fd: number, level: number, name: number, value: number | Buffer): void
  /** The option's bytes, at most `size`. */
  getsockopt(fd: number, level: number, name: number, size?: number): Buffer
  /** `address` as `encodeAddress` makes it. */
  bind(fd: number, address: Buffer): void
  /** Whether it is connected already; if not, the connection is being made. */
  connect(fd: number, address: Buffer): boolean
  /** How many bytes were sent; undefined when the socket takes none now. `address` is left out on a connected socket. */
  sendto(fd: number, bytes: Buffer, address?: Buffer): number | undefined
  /** Sends the slots [from, from + count) of a batch in order; how many were sent, 0 when the socket takes none now. Throws only when the first of them fails. */
  sendmmsg(fd: number, batch: Batch, from: number, count: number): number
  /** Reads what waits into the slots of a batch; how many came. `flags` adds MSG_ERRQUEUE or MSG_TRUNC. A pending error of the socket is thrown, once. */
  recvmmsg(fd: number, batch: Batch, flags?: number): number
  /** Where memory that never moves is (`fixedBuffer`). */
  addressOf(memory: Buffer): bigint
  /** The wall clock in ns since this module was loaded, exact for 104 days: comparable with `timespecNs`. */
  realtimeNs(): number
}

const EPOCH_SECONDS = Math.floor(Date.now() / 1_000)
/** Machines whose structures and constants are the ones written down here: 64 bits, little-endian, the generic ABI. */
const MACHINES: readonly string[] = ['x64', 'arm64', 'riscv64', 'loong64']

type KoffiModule = typeof Koffi & { readonly os: { readonly errno: Readonly<Record<string, number>> } }

let loaded: Libc | Error | undefined

/** The C library of this process. Loads on the first call; throws an Error with a sentence where that is impossible, each time. */
export function libc(): Libc {
  if (loaded === undefined) {
    try {
      loaded = load()
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      loaded = new Error(`system calls cannot be made from this process: ${why.split('\n')[0] ?? why}`)
    }
  }
  if (loaded instanceof Error) throw loaded
  return loaded
}

/** The time in a struct timespec, in ns, on the scale of `realtimeNs`. */
export function timespecNs(bytes: Buffer, offset: number): number {
  // The low half of the seconds lasts until 2106.
  return (bytes.readUInt32LE(offset) - EPOCH_SECONDS) * 1e9 + bytes.readUInt32LE(offset + 8)
}

function load(): Libc {
  if (process.platform !== 'linux' || endianness() !== 'LE' || !MACHINES.includes(process.arch)) throw new Error(`${process.platform} on ${process.arch} is not supported`)
  const koffi = loadKoffi()
  const library = koffi.load(null)
  const names = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]))
  const errno = () => names.get(koffi.errno()) ?? `errno ${koffi.errno()}`
  const failed = (syscall: string): LibcError => {
    const number = koffi.errno()
    const code = errno()
    return Object.assign(new Error(`${syscall}: ${getSystemErrorMessage(-number)} (${code})`), { code, syscall })
  }
  // safe: the prototype beside each is glibc's and musl's; koffi converts numbers and passes the address of a buffer
  const symbol = <F>(prototype: string) => library.func(prototype) as unknown as F
  type Sized = (fd: number, bytes: Buffer, size: number) => number
  const c = {
    socket: symbol<(family: number, type: number, protocol: number) => number>('int socket(int, int, int)'),
    close: symbol<(fd: number) => number>('int close(int)'),
    setsockopt: symbol<(fd: number, level: number, name: number, value: Buffer, size: number) => number>('int setsockopt(int, int, int, void *, uint32_t)'),
    getsockopt: symbol<(fd: number, level: number, name: number, value: Buffer, size: Buffer) => number>('int getsockopt(int, int, int, void *, void *)'),
    bind: symbol<Sized>('int bind(int, void *, uint32_t)'),
    connect: symbol<Sized>('int connect(int, void *, uint32_t)'),
    sendto: symbol<(fd: number, bytes: Buffer, size: number, flags: number, address: Buffer | null, length: number) => number>('int64_t sendto(int, void *, size_t, int, void *, uint32_t)'),
    sendmmsg: symbol<(fd: number, headers: Buffer, count: number, flags: number) => number>('int sendmmsg(int, void *, uint32_t, int)'),
    recvmmsg: symbol<(fd: number, headers: Buffer, count: number, flags: number, timeout: null) => number>('int recvmmsg(int, void *, uint32_t, int, void *)'),
    clock_gettime: symbol<(clock: number, time: Buffer) => number>('int clock_gettime(int, void *)'),
  }
  const number = fixedBuffer(4)
  const time = fixedBuffer(16)
  /** The value of a call that may have to be tried again later. */
  const unlessLater = (syscall: string, value: number): number => {
    if (value >= 0) return value
    if (['EAGAIN', 'EWOULDBLOCK', 'EINTR'].includes(errno())) return -1
    throw failed(syscall)
  }
  const must = (syscall: string, value: number): number => {
    if (value < 0) throw failed(syscall)
    return value
  }

  return {
    socket: (family, type, protocol) => must('socket', c.socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol)),
    close: (fd) => { must('close', c.close(fd)) },
    setsockopt(fd, level, name, value) {
      if (typeof value === 'number') number.writeInt32LE(value)
      const bytes = typeof value === 'number' ? number : value
      must('setsockopt', c.setsockopt(fd, level, name, bytes, bytes.length))
    },
    getsockopt(fd, level, name, size = 4) {
      const bytes = fixedBuffer(size)
      number.writeUInt32LE(size)
      must('getsockopt', c.getsockopt(fd, level, name, bytes, number))
      return bytes.subarray(0, number.readUInt32LE())
    },
    bind: (fd, address) => { must('bind', c.bind(fd, address, address.length)) },
    connect(fd, address) {
      if (c.connect(fd, address, address.length) === 0) return true
      if (errno() === 'EINPROGRESS') return false
      throw failed('connect')
    },
    sendto(fd, bytes, address) {
      const sent = unlessLater('sendto', c.sendto(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL, address ?? null, address?.length ?? 0))
      return sent < 0 ? undefined : sent
    },
    sendmmsg: (fd, batch, from, count) => Math.max(0, unlessLater('sendmmsg', c.sendmmsg(fd, batch.header(from), count, MSG_DONTWAIT | MSG_NOSIGNAL))),
    recvmmsg(fd, batch, flags = 0) {
      batch.rearm()
      batch.used = Math.max(0, unlessLater('recvmmsg', c.recvmmsg(fd, batch.header(0), batch.slots, flags | MSG_DONTWAIT, null)))
      return batch.used
    },
    addressOf: (memory) => koffi.address(memory),
    realtimeNs() {
      c.clock_gettime(CLOCK_REALTIME, time)
      return timespecNs(time, 0)
    },
  }
}

/**
 * koffi's prebuilt module alone: its JavaScript looks for the binary in places that a bundle does not have. In a package
 * it lies beside the bundle (scripts/build.ts puts it there).
 */
function loadKoffi(): KoffiModule {
  const name = `koffi-${process.platform}-${process.arch}`
  const place = import.meta.url.endsWith('.ts') ? `@koromix/${name}` : `./${name}/index.js`
  return createRequire(import.meta.url)(place) as KoffiModule // safe: koffi's own binary; its declarations leave out the errno table alone
}
