import { networkInterfaces } from 'node:os'
import { expect, it, vi } from 'vitest'
import { explain } from '../../src/core/errors.ts'

vi.mock('node:os', { spy: true })

it.each([
  ['10.9.3.2', 'prober_denied'], ['2001:db8::1', 'prober_denied'], ['fe80::1', 'prober_bug'], ['ff02::fb', 'prober_bug'],
])('takes EINVAL of a connect to %s for a blackhole route, unless the address lacks its interface, and accuses nobody', (address, code) => {
  const thrownAway = Object.assign(new Error(`connect EINVAL ${address}:80`), { code: 'EINVAL', syscall: 'connect', address })
  expect(explain(thrownAway, 'connect', {})).toMatchObject({ status: 'unknown', failure: { code, message: expect.stringContaining(code === 'prober_denied' ? 'a route of this machine throws packets away' : 'EINVAL') as string } })
})

it('accuses nobody when this machine cannot even tell its interfaces, for want of a file descriptor', () => {
  vi.mocked(networkInterfaces).mockImplementation(() => { throw Object.assign(new Error('A system error occurred: uv_interface_addresses returned EMFILE'), { code: 'ERR_SYSTEM_ERROR' }) })
  const unreachable = Object.assign(new Error('connect EHOSTUNREACH'), { code: 'EHOSTUNREACH' })
  expect(explain(unreachable, 'connect', {})).toMatchObject({ status: 'unknown', failure: { layer: 'prober' } })
})
