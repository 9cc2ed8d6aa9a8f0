import { networkInterfaces } from 'node:os'
import { expect, it, vi } from 'vitest'
import { explain } from '../../src/core/errors.ts'

vi.mock('node:os', { spy: true })

it.each([
  ['10.9.3.2', 'failed', 'network_unreachable'], ['2001:db8::1', 'failed', 'network_unreachable'], ['fe80::1', 'unknown', 'prober_bug'], ['ff02::fb', 'unknown', 'prober_bug'],
])('takes EINVAL of a connect to %s for a blackhole route, unless the address lacks its interface', (address, status, code) => {
  vi.mocked(networkInterfaces).mockReturnValue({ eth0: [{ family: 'IPv4', address: '192.0.2.1', netmask: '255.255.255.0', cidr: '192.0.2.1/24', mac: '02:00:00:00:00:01', internal: false }] })
  const thrownAway = Object.assign(new Error(`connect EINVAL ${address}:80`), { code: 'EINVAL', syscall: 'connect', address })
  expect(explain(thrownAway, 'connect', {})).toMatchObject({ status, failure: { code, message: expect.stringContaining(status === 'failed' ? 'a route of this machine throws packets away' : 'EINVAL') as string } })
})

it('accuses nobody when this machine cannot even tell its interfaces, for want of a file descriptor', () => {
  vi.mocked(networkInterfaces).mockImplementation(() => { throw Object.assign(new Error('A system error occurred: uv_interface_addresses returned EMFILE'), { code: 'ERR_SYSTEM_ERROR' }) })
  const unreachable = Object.assign(new Error('connect EHOSTUNREACH'), { code: 'EHOSTUNREACH' })
  expect(explain(unreachable, 'connect', {})).toMatchObject({ status: 'unknown', failure: { layer: 'prober' } })
})
