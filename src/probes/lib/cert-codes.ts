import { ProbeFailure, type CodeSpec } from '../../core/probe.ts'
import { STARTTLS_CODES } from './starttls-codes.ts'

/** What can be wrong with certificate files; the dates of certificates have shared codes. */
export const FILE_CODES = {
  cert_not_found: { layer: 'request', reason: 'not_found', en: 'The file is not there: look at whatever issues it, and at the path.', zh: '文件不存在：请检查签发程序与路径。' },
  cert_broken_link: { layer: 'request', reason: 'not_found', en: 'A symbolic link leads to a file that is not there: a renewal may have stopped half-way. Where the host is mounted elsewhere, set root.', zh: '符号链接指向不存在的文件：续期可能中途停止。若主机文件系统挂载在其他位置，请设置 root。' },
  cert_denied: { layer: 'request', reason: 'denied', en: 'Curlew may not read the file: run it as a user or with a group that may.', zh: 'Curlew 无权读取该文件：请以有权限的用户或用户组运行。' },
  cert_hung: { layer: 'request', reason: 'hung', en: 'The file system that holds the file does not answer: look at its mount.', zh: '存放该文件的文件系统没有响应：请检查其挂载。' },
  cert_read_other: { layer: 'request', reason: 'other', en: 'The operating system cannot read the file: look at the disk and the kernel log.', zh: '操作系统无法读取该文件：请检查磁盘与内核日志。', unmapped: true },
  cert_no_certificate: { layer: 'request', reason: 'protocol', en: 'The file holds no certificate, or a broken one: it may have been written half-way or be another file.', zh: '文件中没有证书，或证书已损坏：文件可能只写入了一部分，或并非证书文件。' },
  cert_unsupported: { layer: 'request', reason: 'unsupported', en: 'The file is of a kind or size that Curlew does not read: give it a PEM file of the certificates.', zh: 'Curlew 不读取这种类型或大小的文件：请提供 PEM 格式的证书文件。' },
  cert_password: { layer: 'auth', reason: 'denied', en: 'The keystore does not open with this password: set password.', zh: '该密码无法打开密钥库：请设置 password。' },
  cert_not_served: { layer: 'assert', reason: 'stale', en: 'The server still shows another certificate than those on disk: restart or reload it.', zh: '服务器提供的证书与磁盘上的不一致：请重启或重新加载服务。' },
  cert_too_many: { layer: 'prober', reason: 'overloaded', en: 'There are more files or certificates than one probe looks at: name files or narrower directories.', zh: '文件或证书数量超过单个探测的上限：请指定文件或更小的目录。' },
} as const satisfies Readonly<Record<string, CodeSpec>>

export const CERT_CODES = { ...STARTTLS_CODES, ...FILE_CODES } as const satisfies Readonly<Record<string, CodeSpec>>

export type FileCode = keyof typeof FILE_CODES

/** What is wrong with one file; the others are read all the same. */
export interface Problem {
  readonly code: FileCode | 'tls_expired' | 'tls_not_yet_valid'
  readonly message: string
}

/** Thrown where a file is at fault, and caught where its name is known. */
export class FileProblem extends Error {
  override readonly name = 'FileProblem'
  readonly code: Problem['code']

  constructor(code: Problem['code'], message: string) {
    super(message)
    this.code = code
  }
}

/** What comes first in a verdict is what has to be mended first; what is not listed follows. */
const URGENT: readonly string[] = ['tls_expired', 'kube_cert_key_mismatch', 'cert_not_served', 'tls_not_yet_valid']
/** How many problems a sentence names. */
const NAMED = 5
const LONGEST = 300

/** One failure for all that is wrong, the most urgent first; undefined when nothing is. */
export function verdictOf(problems: readonly { readonly code: string, readonly message: string }[]): ProbeFailure | undefined {
  const rank = ({ code }: { readonly code: string }) => (code.endsWith('cert_too_many') ? Infinity : URGENT.includes(code) ? URGENT.indexOf(code) : URGENT.length)
  const sorted = problems.toSorted((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)))
  const [first] = sorted
  if (!first) return undefined
  const more = sorted.length > NAMED ? `; and ${sorted.length - NAMED} more` : ''
  return new ProbeFailure(first.code, `${sorted.slice(0, NAMED).map(({ message }) => message.slice(0, LONGEST)).join('; ')}${more}`)
}
