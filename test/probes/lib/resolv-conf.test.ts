import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseHosts, parseResolvConf, systemFiles } from '../../../src/probes/lib/resolv-conf.ts'
import { temporaryDirectory } from '../../support/process.ts'

describe('resolv.conf', () => {
  it('reads what kubelet writes', () => {
    expect(parseResolvConf('search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n')).toEqual({
      servers: [{ ip: '10.96.0.10', port: 53 }],
      search: ['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local'],
      ndots: 5, timeoutMs: 5_000, attempts: 2,
    })
  })

  it('has the defaults of glibc for an empty file', () => {
    expect(parseResolvConf('')).toEqual({ servers: [], search: [], ndots: 1, timeoutMs: 5_000, attempts: 2 })
    expect(parseResolvConf('', 'example.org').search).toEqual(['example.org'])
  })

  it('skips comments, indented and wrong lines, and what follows a value', () => {
    expect(parseResolvConf('# nameserver 1.1.1.1\n; nameserver 1.1.1.2\n nameserver 1.1.1.3\nnameserver ns.example.org\nnameserver\nnameserver\t10.0.0.1   # first\r\nnameserver fe80::1%eth0\nfoo bar').servers)
      .toEqual([{ ip: '10.0.0.1', port: 53 }, { ip: 'fe80::1%eth0', port: 53 }])
  })

  it('lets the last of domain and search win', () => {
    expect(parseResolvConf('search a.test b.test\ndomain C.test.', 'local.test').search).toEqual(['c.test'])
    expect(parseResolvConf('domain c.test\nsearch a.test .').search).toEqual(['a.test', '.'])
  })

  it('bounds everything', () => {
    const conf = parseResolvConf(`${Array.from({ length: 9 }, (_, i) => `nameserver 10.0.0.${i}\n`).join('')}search a b c d e f g h\noptions ndots:99 timeout:0 attempts:77 rotate timeout:x`)
    expect(conf.servers.map(({ ip }) => ip)).toEqual(['10.0.0.0', '10.0.0.1', '10.0.0.2'])
    expect(conf).toMatchObject({ search: ['a', 'b', 'c', 'd', 'e', 'f'], ndots: 15, timeoutMs: 1_000, attempts: 5 })
  })

  const word = fc.oneof(fc.constantFrom('nameserver', 'search', 'domain', 'options', '10.0.0.1', '::1', 'a.test.', '.', 'ndots:', 'ndots:3', 'timeout:-1', 'attempts:9', '#', ';'), fc.string())
  const file = fc.array(fc.array(word).map((words) => words.join(' '))).map((lines) => lines.join('\n'))

  it('survives any text, and stays within its bounds', () => {
    fc.assert(fc.property(file, (text) => {
      const { servers, search, ndots, timeoutMs, attempts } = parseResolvConf(text)
      expect(servers.length).toBeLessThanOrEqual(3)
      expect(search.length).toBeLessThanOrEqual(6)
      expect(search.every((domain) => domain === '.' || (domain !== '' && !/\s/.test(domain)))).toBe(true)
      expect(ndots >= 0 && ndots <= 15 && timeoutMs >= 1_000 && timeoutMs <= 30_000 && attempts >= 1 && attempts <= 5).toBe(true)
    }))
  })
})

describe('hosts', () => {
  it('maps every name of a line to its address, in order', () => {
    const hosts = parseHosts('127.0.0.1\tlocalhost\n# 10.0.0.1 no\n10.0.0.5 DB.example.org. db # the database\n::1 localhost ip6-localhost\n10.0.0.6 db\n10.0.0.6 db\nnonsense x\n10.0.0.7')
    expect(Object.fromEntries(hosts)).toEqual({
      localhost: ['127.0.0.1', '::1'], 'ip6-localhost': ['::1'], 'db.example.org': ['10.0.0.5'], db: ['10.0.0.5', '10.0.0.6'],
    })
  })

  it('survives any text, names like those of Object.prototype among it', () => {
    expect(parseHosts('10.0.0.1 constructor __proto__').get('__proto__')).toEqual(['10.0.0.1'])
    fc.assert(fc.property(fc.string(), (text) => {
      for (const [name, ips] of parseHosts(text)) expect(name !== '' && ips.length > 0).toBe(true)
    }))
  })
})

describe('the files', () => {
  let directory: ReturnType<typeof temporaryDirectory>
  let paths: { resolvConf: string, hosts: string }
  beforeEach(() => {
    directory = temporaryDirectory()
    paths = { resolvConf: join(directory.path, 'resolv.conf'), hosts: join(directory.path, 'hosts') }
  })
  afterEach(() => directory.remove())

  it('are read again when they were replaced or removed', () => {
    const read = systemFiles({ ...paths, checkEveryMs: 0 })
    expect(read()).toMatchObject({ servers: [], ndots: 1 })
    writeFileSync(paths.resolvConf, 'nameserver 10.0.0.1\n')
    writeFileSync(paths.hosts, '10.0.0.5 db\n')
    expect(read().servers).toEqual([{ ip: '10.0.0.1', port: 53 }])
    expect(read().hosts.get('db')).toEqual(['10.0.0.5'])
    writeFileSync(`${paths.resolvConf}.new`, 'nameserver 10.0.0.2\n')
    renameSync(`${paths.resolvConf}.new`, paths.resolvConf)
    expect(read().servers).toEqual([{ ip: '10.0.0.2', port: 53 }])
    rmSync(paths.resolvConf)
    expect(read().servers).toEqual([])
  })

  it('are believed for a while without a look', () => {
    writeFileSync(paths.resolvConf, 'nameserver 10.0.0.1\n')
    const read = systemFiles({ ...paths, checkEveryMs: 3_600_000 })
    expect(read().servers).toHaveLength(1)
    writeFileSync(paths.resolvConf, '')
    expect(read().servers).toHaveLength(1)
  })

  it('throw the errno when they cannot be read, unless they could be before', () => {
    expect(() => systemFiles({ ...paths, hosts: directory.path })()).toThrow(expect.objectContaining({ code: 'EISDIR' }))
    writeFileSync(paths.resolvConf, 'nameserver 10.0.0.1\n')
    const read = systemFiles({ ...paths, checkEveryMs: 0 })
    read()
    rmSync(paths.resolvConf)
    mkdirSync(paths.resolvConf)
    expect(read().servers).toEqual([{ ip: '10.0.0.1', port: 53 }])
  })
})
