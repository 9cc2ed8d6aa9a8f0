import { isIPv4 } from 'node:net'
import ipaddr from 'ipaddr.js'
import { AF_INET, AF_INET6 } from './libc-constants.ts'
import type { Libc } from './libc.ts'

/**
 * Messages for sendmmsg(2) and recvmmsg(2), made once and used again and again: the kernel reads and writes these buffers,
 * so that a packet costs no object.
 */
export interface Batch {
  readonly slots: number
  /** `dataSize` bytes for each slot. */
  readonly data: Buffer
  readonly dataSize: number
  /** `controlSize` bytes for each slot. */
  readonly control: Buffer
  readonly controlSize: number
  /** NAME_SIZE bytes for each slot: where it goes to, or came from. */
  readonly names: Buffer
  /** How many slots the last recvmmsg has filled. */
  used: number
  /** The mmsghdr structures from a slot on. */
  header(slot: number): Buffer
  /** Makes a slot ready to be sent: the first `length` bytes of its data, then so many of the tail. */
  prepare(slot: number, to: Buffer, length: number, tailLength?: number): void
  /** Makes the slots that were used ready to receive again. */
  rearm(): void
  /** How many bytes came in a slot; with MSG_TRUNC the length of the whole packet, which may be above `dataSize`. */
  length(slot: number): number
  /** Where in `control` the data of this level and type of a slot stands, or -1. */
  findControl(slot: number, level: number, type: number): number
}

/** sizeof(struct sockaddr_in6), the larger of the two. */
export const NAME_SIZE = 28

/** struct mmsghdr on 64 bits, counted in words of 32. */
const HEADER = { words: 16, name: 0, nameLength: 2, vector: 4, vectors: 6, control: 8, controlLength: 10, length: 14 } as const
/** Each slot has two struct iovec: its own data, and the tail. */
const VECTOR = { words: 8, data: 0, dataLength: 2, tail: 4, tailLength: 6 } as const
/** struct cmsghdr: length of it all (8 bytes), level (4), type (4), then the data. */
const CONTROL_HEADER = 16

/** Memory that never moves, so that the kernel may be told its address. */
export function fixedBuffer(size: number): Buffer {
  return Buffer.from(new ArrayBuffer(size))
}

/** Memory for `slots` messages at a time, ready to receive. `tail` is what every message that is sent ends with. */
export function createBatch(
  libc: Libc, { slots, dataSize, controlSize = 0, tail }: { readonly slots: number, readonly dataSize: number, readonly controlSize?: number, readonly tail?: Buffer },
): Batch {
  const headers = new ArrayBuffer(slots * HEADER.words * 4)
  const vectors = new ArrayBuffer(slots * VECTOR.words * 4)
  const data = fixedBuffer(slots * dataSize)
  const names = fixedBuffer(slots * NAME_SIZE)
  const control = fixedBuffer(slots * controlSize)
  const words = new Uint32Array(headers)
  const iov = new Uint32Array(vectors)
  const header = Buffer.from(headers)
  const point = (into: Uint32Array, index: number, at: bigint) => {
    into[index] = Number(at & 0xffff_ffffn)
    into[index + 1] = Number(at >> 32n)
  }
  const at = { names: libc.addressOf(names), vectors: libc.addressOf(Buffer.from(vectors)), data: libc.addressOf(data), control: controlSize > 0 ? libc.addressOf(control) : 0n }
  for (let slot = 0; slot < slots; slot++) {
    point(words, slot * HEADER.words + HEADER.name, at.names + BigInt(slot * NAME_SIZE))
    point(words, slot * HEADER.words + HEADER.vector, at.vectors + BigInt(slot * VECTOR.words * 4))
    if (controlSize > 0) point(words, slot * HEADER.words + HEADER.control, at.control + BigInt(slot * controlSize))
    point(iov, slot * VECTOR.words + VECTOR.data, at.data + BigInt(slot * dataSize))
    iov[slot * VECTOR.words + VECTOR.dataLength] = dataSize
    if (tail) point(iov, slot * VECTOR.words + VECTOR.tail, libc.addressOf(tail))
  }
  const batch: Batch & { readonly keep: readonly unknown[] } = {
    slots, data, dataSize, control, controlSize, names,
    // The kernel holds plain addresses: what they point to must live as long as the batch.
    keep: [vectors, tail],
    used: slots,
    header: (slot) => (slot === 0 ? header : header.subarray(slot * HEADER.words * 4)),
    prepare(slot, to, length, tailLength = 0) {
      to.copy(names, slot * NAME_SIZE)
      words[slot * HEADER.words + HEADER.nameLength] = to.length
      words[slot * HEADER.words + HEADER.vectors] = tailLength > 0 ? 2 : 1
      iov[slot * VECTOR.words + VECTOR.dataLength] = length
      iov[slot * VECTOR.words + VECTOR.tailLength] = tailLength
    },
    rearm() {
      for (let slot = 0; slot < batch.used; slot++) {
        words[slot * HEADER.words + HEADER.nameLength] = NAME_SIZE
        words[slot * HEADER.words + HEADER.vectors] = 1
        words[slot * HEADER.words + HEADER.controlLength] = controlSize
      }
      batch.used = 0
    },
    length: (slot) => words[slot * HEADER.words + HEADER.length] ?? 0,
    findControl(slot, level, type) {
      const end = slot * controlSize + Math.min(controlSize, words[slot * HEADER.words + HEADER.controlLength] ?? 0)
      let offset = slot * controlSize
      while (offset + CONTROL_HEADER <= end) {
        const length = control.readUInt32LE(offset)
        if (length < CONTROL_HEADER || offset + length > end) return -1
        if (control.readInt32LE(offset + 8) === level && control.readInt32LE(offset + 12) === type) return offset + CONTROL_HEADER
        offset += (length + 7) & ~7
      }
      return -1
    },
  }
  batch.rearm()
  return batch
}

/** A literal address and a port as struct sockaddr_in or sockaddr_in6. Throws for what is no address. */
export function encodeAddress(ip: string, port = 0): Buffer {
  // ipaddr.js takes longer for an address than the kernel for a packet to it, and IPv4 is simple.
  const bytes = isIPv4(ip) ? ip.split('.') : ipaddr.IPv6.parse(ip).toByteArray()
  const address = Buffer.alloc(bytes.length === 4 ? 16 : NAME_SIZE)
  address.writeUInt16LE(bytes.length === 4 ? AF_INET : AF_INET6, 0)
  address.writeUInt16BE(port, 2)
  const start = bytes.length === 4 ? 4 : 8
  for (const [index, byte] of bytes.entries()) address[start + index] = Number(byte)
  return address
}

/** The address and the port of a struct sockaddr; undefined when it is of another family, such as none. */
export function decodeAddress(bytes: Buffer, offset = 0): { readonly ip: string, readonly port: number } | undefined {
  if (offset + 16 > bytes.length) return undefined
  const family = bytes.readUInt16LE(offset)
  const port = bytes.readUInt16BE(offset + 2)
  if (family === AF_INET) return { ip: ipaddr.fromByteArray([...bytes.subarray(offset + 4, offset + 8)]).toString(), port }
  if (family === AF_INET6 && offset + NAME_SIZE <= bytes.length) return { ip: ipaddr.fromByteArray([...bytes.subarray(offset + 8, offset + 24)]).toString(), port }
  return undefined
}
