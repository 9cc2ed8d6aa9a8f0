import { beforeEach, describe, expect, it, vi } from 'vitest'
import { ProbeFailure } from '../../../src/core/probe.ts'
import { cert } from '../../../src/probes/cert.ts'
import { DiskHung, openDisk, type Disk } from '../../../src/probes/lib/disk.ts'
import { makeCertificates } from '../../support/certificates.ts'
import { gaugeOf, probeOnce } from '../contract.ts'

// Errors that a file system gives to root only when it is broken.
vi.mock(import('../../../src/probes/lib/disk.ts'), async (original) => ({ ...await original(), openDisk: vi.fn<typeof openDisk>() }))

const errno = (code: string) => Object.assign(new Error(`${code}: as told`), { code })
const { good } = makeCertificates()
const close = vi.fn<() => void>()

/** A directory /d with good files a.pem, b.pem and c.pem; `read` says what becomes of reading one. */
function diskOf(read: (path: string) => Error | undefined): Disk {
  const answers: Record<string, (path: string) => unknown> = {
    lstat: (path) => ({ kind: path === '/d' ? 'directory' : 'file', dev: 1, ino: 1, size: 1, mtimeMs: 1 }),
    list: () => ({ names: ['c.pem', 'a.pem', 'b.pem'], more: false }),
    read: (path) => {
      const error = read(path)
      if (error) throw error
      return { base64: Buffer.from(good.cert).toString('base64'), more: false, mtimeMs: 1 }
    },
  }
  return { call: ((name: string, path: string) => Promise.try(() => answers[name]!(path))) as Disk['call'], spentMs: () => 0, close }
}

const against = (disk: Disk | Error) => {
  vi.mocked(openDisk).mockImplementation(() => (disk instanceof Error ? Promise.reject(disk) : Promise.resolve(disk)))
  return probeOnce(cert, { target: '/d' })
}
const failing = (error: Error) => against(diskOf((path) => (path === '/d/b.pem' ? error : undefined)))

describe('what the file system says', () => {
  beforeEach(() => { close.mockClear() })

  it.each<[string, object]>([
    ['EACCES', { status: 'failed', failure: { layer: 'request', reason: 'denied', code: 'cert_denied', message: '/d/b.pem may not be read (EACCES)' } }],
    ['EPERM', { status: 'failed', failure: { layer: 'request', reason: 'denied', code: 'cert_denied' } }],
    ['EIO', { status: 'failed', failure: { layer: 'request', reason: 'other', code: 'cert_read_other', message: '/d/b.pem cannot be read (EIO)' } }],
    ['ESTALE', { status: 'failed', failure: { layer: 'request', reason: 'other', code: 'cert_read_other' } }],
    ['ENOENT', { status: 'failed', failure: { layer: 'request', reason: 'not_found', code: 'cert_not_found' } }],
    ['EMFILE', { status: 'unknown', failure: { layer: 'prober', reason: 'overloaded', code: 'prober_no_files' } }],
    ['ENOMEM', { status: 'unknown', failure: { layer: 'prober', reason: 'overloaded', code: 'prober_no_memory' } }],
  ])('%s', async (code, expected) => {
    const result = await failing(errno(code))
    expect(result).toMatchObject(expected)
    expect(close).toHaveBeenCalledOnce()
    // What had been read before is exported, and after it too unless the trouble is ours.
    expect(gaugeOf(result, 'probe_ssl_certificates')).toBe(result.status === 'unknown' ? 1 : 2)
    expect(gaugeOf(result, 'probe_ssl_earliest_cert_expiry')).toBeGreaterThan(0)
  })

  it('nothing: a file system that hangs is named, and asked for no other file', async () => {
    const asked: string[] = []
    const result = await against(diskOf((path) => {
      asked.push(path)
      return path === '/d/b.pem' ? new DiskHung('read', performance.now() - 1_980) : undefined
    }))
    expect(result).toMatchObject({ status: 'failed', failure: { layer: 'request', reason: 'hung', code: 'cert_hung', message: expect.stringMatching(/\/d\/b\.pem: read has not come back for 198\d ms/) as string } })
    expect(asked).toEqual(['/d/a.pem', '/d/b.pem'])
    expect(gaugeOf(result, 'probe_ssl_certificates')).toBe(1)
    expect(gaugeOf(result, 'probe_ssl_cert_file_readable', { file: '/d/b.pem' })).toBe(0)
  })

  it('that it still hangs since an earlier run', async () => {
    expect(await against(new DiskHung('lstat', performance.now() - 90_000))).toMatchObject({ status: 'failed', failure: { code: 'cert_hung', message: expect.stringContaining('/d: lstat') as string } })
  })

  it('through a helper that is gone is nobody\'s fault but ours', async () => {
    expect(await against(new ProbeFailure('prober_worker_lost', 'gone'))).toMatchObject({ status: 'unknown', failure: { code: 'prober_worker_lost' } })
    expect(await failing(new ProbeFailure('prober_worker_lost', 'gone'))).toMatchObject({ status: 'unknown', failure: { code: 'prober_worker_lost' } })
  })
})
