import { expect, it } from 'vitest'
import { tcp } from '../../src/probes/tcp.ts'
import { makeCertificates } from '../support/certificates.ts'
import { freePort, startProcess } from '../support/process.ts'
import { listens } from '../support/tcp.ts'
import { probeOnce } from './contract.ts'

it.each(['-tls1_2', '-tls1_3'])('says that the client certificate it has is refused, by openssl s_server %s', async (version) => {
  const { ca, caFile, good, strangeClient } = makeCertificates()
  const port = await freePort()
  const server = await startProcess('openssl', [
    's_server', '-accept', `127.0.0.1:${port}`, '-cert', good.certFile, '-key', good.keyFile, '-CAfile', ca.certFile, '-Verify', '2', '-verify_return_error', '-quiet', version,
  ], { ready: () => listens(port) })
  const probe = (entry: Record<string, unknown>) => probeOnce(tcp, { target: `127.0.0.1:${port}`, tls: true, ca_file: caFile, server_name: 'localhost', ...entry })
  try {
    const strange = { cert_file: strangeClient.certFile, key_file: strangeClient.keyFile }
    const refused = { status: 'failed', failure: { layer: 'tls', reason: 'denied', code: 'tls_client_cert_refused' } }
    expect(await probe(strange), 'nothing sent, nothing expected').toMatchObject(refused)
    expect(await probe({ ...strange, expect: 'x' }), 'the alert comes while reading').toMatchObject(refused)
    expect(await probe({})).toMatchObject({ status: 'failed', failure: { layer: 'tls', reason: 'denied', code: 'tls_client_cert_required' } })
  } finally {
    await server.stop()
  }
})
