import { chmodSync, existsSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { dirname } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { redact } from '../../src/core/secrets.ts'
import { clientOver, clusterClient } from '../../src/kubernetes/client.ts'
import { openConnection } from '../../src/kubernetes/connection.ts'
import { KubeError, type ClusterAccess } from '../../src/kubernetes/model.ts'
import { makeCertificates } from '../support/certificates.ts'
import { isAlive } from '../support/children.ts'
import { startKubeApi, type KubeApiOptions } from '../support/kube-api.ts'
import { createOwner } from '../support/owner.ts'
import { eventually } from '../support/process.ts'

const owner = createOwner()
afterEach(async () => {
  vi.unstubAllEnvs()
  vi.useRealTimers()
  await owner.end()
})

const started = (options?: KubeApiOptions) => owner.started(startKubeApi(options))
async function clientOf(access: Omit<ClusterAccess, 'name'>) {
  return await owner.opened(Promise.resolve(clusterClient({ name: 'room-a', ...access })))
}
/** What a call comes to: its trouble and sentence. */
async function failure(calling: Promise<unknown>): Promise<KubeError> {
  const error = await calling.then(() => undefined, (reason: unknown) => reason)
  if (!(error instanceof KubeError)) throw new Error(`expected a KubeError, got ${String(error)}`)
  return error
}
const version = { path: '/version' }

describe('the kubeconfig', () => {
  it('that is not there, not readable as YAML or no kubeconfig is a mistake in the config', async () => {
    const { path, write } = owner.place()
    const of = async (kubeconfig: string, context?: string) => (await failure((await clientOf({ kubeconfig, context })).server()))
    expect(await of(`${path}/none`)).toMatchObject({ trouble: 'config', message: `cluster room-a: the kubeconfig cannot be read: ENOENT: no such file or directory, open '${path}/none'` })
    expect((await of(write('broken', 'users:\n- name: a\n  user: {token: s3cret-token\n'))).message).toMatch(/^cluster room-a: \/.*\/broken:\d+: (?!.*s3cret).+/)
    expect((await of(write('list', '[]'))).trouble).toBe('config')
    expect((await of(write('text', 'hello'))).message).toContain('is no kubeconfig')
    expect((await of(write('empty', '{}'))).message).toContain('has no context (current-context is not set)')
  })

  it('without the context, cluster or user that is named says which', async () => {
    const { write } = owner.place()
    const base = { clusters: [{ name: 'a', cluster: { server: 'https://127.0.0.1:1' } }], users: [{ name: 'u', user: {} }] }
    const of = async (contexts: object[], context = 'c') => (await failure((await clientOf({ kubeconfig: write(`k${Math.random()}`, { ...base, contexts }), context })).server())).message
    expect(await of([])).toContain('has no context c')
    expect(await of([{ name: 'c', context: { cluster: 'b', user: 'u' } }])).toContain('context c names the cluster b, which is not there')
    expect(await of([{ name: 'c', context: { cluster: 'a', user: 'v' } }])).toContain('context c names the user v, who is not there')
  })

  it('may have several contexts, each a client of its own', async () => {
    const [one, two] = [await started(), await started()]
    const { write } = owner.place()
    const ca = Buffer.from(one.ca.cert).toString('base64')
    const kubeconfig = write('both', {
      'current-context': 'one',
      clusters: [one, two].map(({ url }, index) => ({ name: `c${index}`, cluster: { server: url, 'certificate-authority-data': ca } })),
      users: [one, two].map((api, index) => ({ name: `u${index}`, user: { token: api.token() } })),
      contexts: [{ name: 'one', context: { cluster: 'c0', user: 'u0' } }, { name: 'two', context: { cluster: 'c1', user: 'u1', namespace: 'shop' } }],
    })
    const first = await clientOf({ kubeconfig })
    const second = await clientOf({ kubeconfig, context: 'two' })
    await Promise.all([first, second].map((client) => client.json({ path: '/api/v1/nodes' })))
    expect([await first.server(), await second.server()]).toEqual([one.url, two.url])
    expect([await first.namespace(), await second.namespace()]).toEqual(['default', 'shop'])
    expect([one.requests().length, two.requests().length]).toEqual([1, 1])
  })

  it('that is written anew is read anew', async () => {
    const [one, two] = [await started(), await started()]
    const client = await clientOf({ kubeconfig: one.kubeconfig() })
    const file = two.kubeconfig()
    const moving = await clientOf({ kubeconfig: file })
    expect(await moving.server()).toBe(two.url)
    one.kubeconfig({ file })
    await vi.waitFor(async () => expect(await moving.server()).toBe(one.url), 3_000)
    await moving.json({ path: '/api/v1/nodes' })
    expect(await client.server()).toBe(one.url)
  })

  it('without TLS and credentials is kubectl proxy\'s', async () => {
    const api = await started({ plain: true })
    const { write } = owner.place()
    const kubeconfig = write('proxy', { 'current-context': 'p', clusters: [{ name: 'p', cluster: { server: `${api.url}/` } }], contexts: [{ name: 'p', context: { cluster: 'p', user: '' } }] })
    expect(await (await clientOf({ kubeconfig })).json(version)).toMatchObject({ major: '1' })
  })

  it('may put a path before every other one', async () => {
    const api = await started()
    const client = await clientOf({ kubeconfig: api.kubeconfig({ cluster: { server: `${api.url}/k8s/clusters/c-1` } }) })
    expect((await client.text({ path: '/readyz?verbose' })).status).toBe(404)
    expect(api.requests().at(-1)?.path).toBe('/k8s/clusters/c-1/readyz?verbose')
  })
})

describe('who we are', () => {
  it('is told by a client certificate', async () => {
    const api = await started()
    const { client: { certFile, keyFile, cert, key } } = api
    const data = await clientOf({ kubeconfig: api.kubeconfig({ user: { 'client-certificate-data': btoa(cert), 'client-key-data': btoa(key) } }) })
    const files = await clientOf({ kubeconfig: api.kubeconfig({ user: { 'client-certificate': certFile, 'client-key': keyFile } }) })
    for (const client of [data, files]) {
      await client.json({ path: '/api/v1/nodes' })
      expect(await client.credentials()).toEqual({ ca: api.ca.cert, cert, key, token: undefined, insecureSkipVerify: false })
    }
  })

  it('is told by a plugin, which is asked again after a 401', async () => {
    const api = await started()
    const { write } = owner.place()
    const credential = write('token', api.token())
    const plugin = write('plugin.sh', `printf '{"kind":"ExecCredential","status":{"token":"%s"}}' "$(cat ${credential})"; echo x >> ${credential}.calls\n`)
    const client = await clientOf({ kubeconfig: api.kubeconfig({ user: { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: 'sh', args: [plugin] } } }) })
    await client.json({ path: '/api/v1/nodes' })
    writeFileSync(credential, api.rotateToken())
    await Promise.all(Array.from({ length: 5 }, () => client.json({ path: '/api/v1/nodes' })))
    expect((await client.credentials()).token).toBe(api.token())
  })

  it('cannot be told by a plugin that fails, and what it says never shows a token', async () => {
    const api = await started()
    const of = async (script: string) => await failure((await clientOf({ timeoutMs: 5_000, kubeconfig: api.kubeconfig({ user: { exec: { command: 'sh', args: ['-c', script] } } }) })).json(version))
    expect(await of('echo expired login >&2; exit 1')).toMatchObject({ trouble: 'unauthorized', message: 'cluster room-a: no credentials could be had: expired login' })
    expect((await of('echo eyJhbGciOiJSUzI1NiJ9.secret')).message).toBe('cluster room-a: no credentials could be had: the credential plugin\'s answer is not JSON')
    expect((await of('echo {}')).message).toContain('the credential plugin\'s answer is no ExecCredential')
    expect((await of('echo \'{"status":{"clientCertificateData":"x"}}\'')).message).toContain('neither a token nor a certificate with its key')
    expect((await of('exec yes')).message).toContain('longer than 1 MB')
    expect((await of('exit 3')).message).toContain('the credential plugin ended with 3')
    const hangs = await clientOf({ timeoutMs: 100, kubeconfig: api.kubeconfig({ user: { exec: { command: 'sleep', args: ['0.5'] } } }) })
    const silent = { trouble: 'unauthorized', message: 'cluster room-a: no credentials could be had: the credential plugin does not answer' }
    expect(await failure(hangs.json(version))).toMatchObject(silent)
    expect(await failure(hangs.namespace())).toMatchObject(silent)
    const watch = { resourceVersion: '1', seconds: 60, signal: new AbortController().signal, onOpen: () => {}, onEvent: () => {} }
    expect(await failure(hangs.watch({ path: '/api/v1/nodes' }, watch))).toMatchObject(silent)
    const missing = await clientOf({ kubeconfig: api.kubeconfig({ user: { exec: { command: '/nonexistent/plugin', installHint: 'get it from\nus' } } }) })
    expect(await failure(missing.json(version))).toMatchObject({ trouble: 'config', message: 'cluster room-a: /nonexistent/plugin: spawn /nonexistent/plugin ENOENT; get it from' })
  })

  it('is told by a plugin until its credentials expire, a certificate too, but not all the time where a clock is wrong', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const api = await started()
    const { path, write } = owner.place()
    const { cert, key } = api.client
    const says = (expirationTimestamp: string) => write('answer', JSON.stringify({ status: { clientCertificateData: cert, clientKeyData: key, expirationTimestamp } }))
    const script = `echo "$KUBERNETES_EXEC_INFO" >> ${path}/calls; cat ${says('2020-01-01T00:00:00Z')}`
    const client = await clientOf({ kubeconfig: api.kubeconfig({ user: { exec: { command: 'sh', args: ['-c', script], provideClusterInfo: true } } }) })
    const calls = () => readFileSync(`${path}/calls`, 'utf8').trim().split('\n')
    for (const [after, count] of [[0, 1], [5_000, 1], [5_001, 2], [5_000, 2]] as const) {
      vi.advanceTimersByTime(after)
      expect((await client.credentials()).cert).toBe(cert)
      expect(calls()).toHaveLength(count)
    }
    expect(JSON.parse(calls()[0]!)).toMatchObject({ spec: { interactive: false, cluster: { server: await client.server(), 'certificate-authority-data': btoa(api.ca.cert) } } })
    await client.json({ path: '/api/v1/nodes' })
  })

  it('is not waited for when the client is closed: the plugin is killed, and what it has started', async () => {
    const api = await started()
    const { path } = owner.place()
    const client = await clientOf({ timeoutMs: 10_000, kubeconfig: api.kubeconfig({ user: { exec: { command: 'sh', args: ['-c', `sleep 1000 & echo $! > ${path}/pid; wait`] } } }) })
    const refused = failure(client.json(version))
    const pid = await eventually(() => Number(existsSync(`${path}/pid`) && readFileSync(`${path}/pid`, 'utf8')))
    expect(isAlive(pid)).toBe(true)
    client.close()
    expect((await refused).message).toContain('closed')
    await eventually(() => !isAlive(pid))
  })

  it('is told by a plugin that leaves something running, which is ended where it is its own and let go of where it is not', async () => {
    const api = await started()
    const { path } = owner.place()
    const script = `sleep 1000 & echo $! > ${path}/own; setsid sh -c 'echo $$ > ${path}/daemon; while sleep 0.1; do echo more >&2; done' & printf '{"status":{"token":"%s"}}' "${api.token()}"`
    const client = await clientOf({ timeoutMs: 20_000, kubeconfig: api.kubeconfig({ user: { exec: { command: 'sh', args: ['-c', script] } } }) })
    await client.json({ path: '/api/v1/nodes' })
    const pid = (name: string) => Number(existsSync(`${path}/${name}`) && readFileSync(`${path}/${name}`, 'utf8'))
    await eventually(() => pid('daemon') > 0 && !isAlive(pid('own')))
    // What it writes to is closed, so it ends as well.
    await eventually(() => !isAlive(pid('daemon')))
  })

  it('is not told by a plugin that starts after the client is closed', async () => {
    const api = await started()
    const { path } = owner.place()
    const connection = openConnection({ name: 'room-a', kubeconfig: api.kubeconfig({ user: { exec: { command: 'sh', args: ['-c', `touch ${path}/ran`] } } }) })
    const refused = failure(connection.session())
    connection.destroy()
    expect((await refused).message).toContain('closed')
    expect(existsSync(`${path}/ran`)).toBe(false)
  })

  it('is asked of a plugin once, not by every call, where the API refuses what it says', async () => {
    const api = await started()
    const { path } = owner.place()
    const script = `echo x >> ${path}/calls; echo '{"status":{"token":"refused"}}'`
    const client = await clientOf({ kubeconfig: api.kubeconfig({ user: { exec: { command: 'sh', args: ['-c', script] } } }) })
    for (let count = 0; count < 5; count++) expect(await failure(client.json({ path: '/api/v1/nodes' }))).toMatchObject({ trouble: 'unauthorized', status: 401 })
    expect(readFileSync(`${path}/calls`, 'utf8')).toBe('x\nx\n')
  })

  it('is told by a plugin that learns whom the kubeconfig trusts by a file', async () => {
    const api = await started()
    const { path, write } = owner.place()
    const exec = { command: 'sh', args: ['-c', `echo "$KUBERNETES_EXEC_INFO" > ${path}/told; exit 1`], provideClusterInfo: true }
    const client = await clientOf({ kubeconfig: api.kubeconfig({ cluster: { 'certificate-authority': write('ca.crt', api.ca.cert), 'certificate-authority-data': undefined }, user: { exec } }) })
    await failure(client.json(version))
    expect(JSON.parse(readFileSync(`${path}/told`, 'utf8'))).toMatchObject({ spec: { cluster: { 'certificate-authority-data': btoa(api.ca.cert) } } })
  })

  it('is kept to us: what a plugin was given, or has given, is hidden in what it complains of', async () => {
    const api = await started()
    const { path } = owner.place()
    const script = `if [ -e ${path}/ran ]; then echo "cannot renew opaque-token with $0 $1 $2 $3 $4 $5 $GIVEN_SECRET in $AWS_REGION" >&2; exit 1; fi; touch ${path}/ran; echo '{"status":{"token":"opaque-token","expirationTimestamp":"2020-01-01T00:00:00Z"}}'`
    const exec = { command: 'sh', args: ['-c', script, '--client-secret=s3cret-one', '--password', 's3cret-two', '--token-cache-storage=keyring', '--use-token=plain', '--token=/run/token-file'], env: [{ name: 'GIVEN_SECRET', value: 's3cret-three' }, { name: 'AWS_REGION', value: 'region-1' }] }
    const client = await clientOf({ kubeconfig: api.kubeconfig({ user: { exec } }) })
    const said = redact((await failure(client.json({ path: '/api/v1/nodes' }))).message)
    expect(said).toBe('cluster room-a: no credentials could be had: cannot renew <secret> with --client-secret=<secret> --password <secret> --token-cache-storage=keyring --use-token=plain --token=/run/token-file <secret> in region-1')
  })

  it.each([['gcp', 'gke-gcloud-auth-plugin'], ['azure', 'kubelogin']])('is not told by what the library would hold up the event loop for: %s', async (name, instead) => {
    const api = await started()
    const client = await clientOf({ kubeconfig: api.kubeconfig({ user: { 'auth-provider': { name, config: { 'cmd-path': '/bin/false' } } } }) })
    expect(await failure(client.json(version))).toMatchObject({ trouble: 'config', message: expect.stringContaining(`auth-provider ${name} is one that kubectl has dropped too: expected exec with ${instead}`) })
  })

  it('is told by a plugin beside the kubeconfig, who is told what is wanted, and not by every call where it fails', async () => {
    const api = await started()
    const { write, path } = owner.place()
    write('plugin', '#!/bin/sh\nprintf "%s\\n" "$GIVEN $KUBERNETES_EXEC_INFO" >> "$(dirname "$0")/calls"\nexit 1\n')
    chmodSync(`${path}/plugin`, 0o755)
    const kubeconfig = api.kubeconfig({ file: write('config', ''), user: { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: './plugin', env: [{ name: 'GIVEN', value: 'mine' }] } } })
    const client = await clientOf({ kubeconfig })
    for (let count = 0; count < 5; count++) expect((await failure(client.json(version))).trouble).toBe('unauthorized')
    const calls = readFileSync(`${path}/calls`, 'utf8').trim().split('\n')
    expect(calls[0]).toBe('mine {"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"interactive":false}}')
    expect(calls.length).toBeLessThan(5)
  })

  it('is told by a token in a file, beside the kubeconfig unless its path is absolute', async () => {
    const api = await started()
    const { write } = owner.place()
    write('the-token', `${api.token()}\n`)
    const kubeconfig = write('config', '')
    const client = await clientOf({ kubeconfig: api.kubeconfig({ file: kubeconfig, user: { tokenFile: 'the-token' } }) })
    await client.json({ path: '/api/v1/nodes' })
    write('the-token', api.rotateToken())
    await client.json({ path: '/api/v1/nodes' })
    expect((await client.credentials()).token).toBe(api.token())
  })

  it('is refused once more only: a 401 is a 401', async () => {
    const api = await started()
    const client = await clientOf({ kubeconfig: api.kubeconfig() })
    api.rotateToken()
    const error = await failure(client.json({ path: '/api/v1/nodes' }))
    expect(error).toMatchObject({ trouble: 'unauthorized', status: 401, message: 'cluster room-a: GET /api/v1/nodes: the credentials are not accepted (401): Unauthorized' })
    expect(api.requests()).toHaveLength(2)
  })
})

describe('whom we trust', () => {
  it('is the CA of the cluster, the server\'s name or nobody at all', async () => {
    const api = await started()
    const strange = btoa(makeCertificates().unknownCa.cert)
    const call = async (cluster: object) => await (await clientOf({ kubeconfig: api.kubeconfig({ cluster }) })).json({ path: '/api/v1/nodes' })
    expect(await failure(call({ 'certificate-authority-data': strange }))).toMatchObject({ trouble: 'tls', message: expect.stringMatching(/^cluster room-a: GET \/api\/v1\/nodes: the server's certificate is not of the authority that the access trusts, .*\([A-Z_]+\)$/) })
    expect(await failure(call({ 'tls-server-name': 'other.test' }))).toMatchObject({ trouble: 'tls', message: expect.stringContaining('TLS failed: ') as unknown })
    await call({ 'tls-server-name': 'probe.test' })
    await call({ 'certificate-authority-data': undefined, 'insecure-skip-tls-verify': true })
  })

  it('changes with the CA\'s file, for new connections', async () => {
    const api = await started()
    const { write } = owner.place()
    const file = write('ca.crt', makeCertificates().unknownCa.cert)
    const client = await clientOf({ kubeconfig: api.kubeconfig({ cluster: { 'certificate-authority': file, 'certificate-authority-data': undefined } }) })
    expect((await failure(client.json(version))).trouble).toBe('tls')
    write('ca.crt', api.ca.cert)
    await vi.waitFor(() => client.json(version), 3_000)
    const open = api.connections()
    utimesSync(file, 1, 1)
    // Only a call with credentials that were looked at since tells anything.
    const looked = await client.credentials()
    await vi.waitFor(async () => expect(await client.credentials()).not.toBe(looked))
    for (let count = 0; count < 5; count++) await client.json(version)
    expect(api.connections()).toBeLessThanOrEqual(open + 1)
  })

  it('leave none open over which nobody is trusted any more', async () => {
    const api = await started()
    const { write } = owner.place()
    const both = `${makeCertificates().unknownCa.cert}\n${api.ca.cert}`
    const file = write('ca.crt', api.ca.cert)
    const client = await clientOf({ kubeconfig: api.kubeconfig({ cluster: { 'certificate-authority': file, 'certificate-authority-data': undefined } }) })
    for (const bundle of [both, api.ca.cert, both, api.ca.cert]) {
      await client.json(version)
      write('ca.crt', bundle)
      await vi.waitFor(async () => expect((await client.credentials()).ca).toBe(bundle), 3_000)
      await client.json(version)
    }
    expect(api.connections()).toBeGreaterThanOrEqual(5)
    // Two at most of the last ones: a call that follows at once may take another.
    await vi.waitFor(() => expect(api.sockets()).toBeLessThanOrEqual(2))
  })
})

describe('in a pod', () => {
  const ROOT = '/var/run/secrets/kubernetes.io/serviceaccount'
  async function pod() {
    const api = await started()
    const { path } = owner.place()
    mkdirSync(dirname(`${path}${ROOT}/token`), { recursive: true })
    const write = (name: string, text: string) => writeFileSync(`${path}${ROOT}/${name}`, text)
    write('token', api.token())
    write('ca.crt', api.ca.cert)
    write('namespace', 'monitoring\n')
    vi.stubEnv('KUBERNETES_SERVICE_HOST', '127.0.0.1')
    vi.stubEnv('KUBERNETES_SERVICE_PORT', String(api.port))
    const access = { name: 'here' }
    const connection = openConnection(access, path)
    return { api, write, path, client: await owner.opened(Promise.resolve(clientOver(access, connection, () => connection.destroy()))) }
  }

  it('the ServiceAccount says who we are, whom we trust and where we are', async () => {
    const { api, write, client } = await pod()
    expect(await client.server()).toBe(api.url)
    expect(await client.namespace()).toBe('monitoring')
    await client.json({ path: '/api/v1/nodes' })
    write('token', api.rotateToken())
    await client.json({ path: '/api/v1/nodes' })
    expect((await client.credentials()).token).toBe(api.token())
  })

  it('without a token, or outside one, that is a mistake in the config', async () => {
    const { path } = owner.place()
    vi.stubEnv('KUBERNETES_SERVICE_HOST', '')
    expect(await failure(openConnection({ name: 'here' }, path).session())).toMatchObject({ trouble: 'config', message: 'cluster here: KUBERNETES_SERVICE_HOST is not set: outside a pod a kubeconfig is needed' })
    vi.stubEnv('KUBERNETES_SERVICE_HOST', '10.96.0.1')
    vi.stubEnv('KUBERNETES_SERVICE_PORT', '443')
    expect(await failure(openConnection({ name: 'here' }, path).session())).toMatchObject({ trouble: 'config', message: expect.stringContaining('the token of the ServiceAccount') })
  })
})

describe('connections', () => {
  it('are shared by calls, and by clients of the same access', async () => {
    const api = await started()
    const kubeconfig = api.kubeconfig()
    const [one, two] = [await clientOf({ kubeconfig }), await clientOf({ kubeconfig })]
    for (let count = 0; count < 20; count++) await one.json(version)
    for (let count = 0; count < 20; count++) await two.json(version)
    expect(api.connections()).toBeLessThanOrEqual(2)
    one.close()
    expect(await failure(one.json(version))).toMatchObject({ trouble: 'unreachable', message: expect.stringContaining('the client was closed') })
    await two.json(version)
  })

  it('end with the last client', async () => {
    const api = await started()
    const client = await clientOf({ kubeconfig: api.kubeconfig() })
    api.fault('GET /slow', 'hang')
    const under = failure(client.json({ path: '/slow' }))
    await vi.waitFor(() => expect(api.requests()).toHaveLength(1))
    client.close()
    expect((await under).message).toContain('the client was closed')
    await vi.waitFor(() => expect(api.sockets()).toBe(0))
  })

  it('go through a proxy', async () => {
    const api = await started()
    const asked: string[] = []
    const proxy = await listening(createServer((socket) => {
      socket.on('error', () => undefined).once('data', (chunk: Buffer) => {
        asked.push(chunk.toString().split('\r\n')[0] ?? '')
        socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
      })
    }))
    const client = await clientOf({ kubeconfig: api.kubeconfig({ cluster: { 'proxy-url': `http://127.0.0.1:${proxy}` } }) })
    expect(await failure(client.json(version))).toMatchObject({ trouble: 'unreachable', message: expect.stringContaining(`cluster room-a: GET /version by the proxy 127.0.0.1:${proxy}: the connection failed: `) as unknown })
    expect(asked[0]).toBe(`CONNECT 127.0.0.1:${api.port} HTTP/1.1`)
    const socks = await clientOf({ kubeconfig: api.kubeconfig({ cluster: { 'proxy-url': `socks5://127.0.0.1:${proxy}` } }) })
    expect((await failure(socks.json(version))).trouble).toBe('unreachable')
    expect(asked).toHaveLength(2)
  })
})

describe('a proxy', () => {
  it('that is silent is named, without its password', async () => {
    const api = await started()
    const silent = await listening(createServer((socket) => { socket.on('error', () => undefined) }))
    const client = await clientOf({ timeoutMs: 300, kubeconfig: api.kubeconfig({ cluster: { 'proxy-url': `http://me:canary-proxy@127.0.0.1:${silent}` } }) })
    expect(await failure(client.json(version))).toMatchObject({ trouble: 'timeout', message: `cluster room-a: GET /version by the proxy 127.0.0.1:${silent}: no whole answer within 300 ms` })
  })

  it.each(['me:canary@proxy:3128', 'http://me:canary@proxy/x', 'http://me:can%ZZary@proxy:1', 'ftp://me:canary@proxy', 'http://me:canary@proxy:99999'])('that cannot be one is a mistake in the config, which is not quoted: %s', async (url) => {
    const api = await started()
    const kubeconfig = api.kubeconfig({ cluster: { 'proxy-url': url } })
    expect(await failure((await clientOf({ kubeconfig })).json(version))).toMatchObject({ trouble: 'config', message: expect.stringMatching(/^cluster room-a: (?!.*(?:canary|%ZZ)).*expected http:\/\/, https:\/\/ or socks5:\/\/ with a host and no path as proxy-url of \S+$/) as unknown })
  })
})

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  await owner.opened(Promise.resolve(server))
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}
