import { networkInterfaces } from 'node:os'
import { expect, it, vi } from 'vitest'
import { explain } from '../../src/core/errors.ts'

vi.mock('node:os', { spy: true })

it('accuses nobody when this machine cannot even tell its interfaces, for want of a file descriptor', () => {
  vi.mocked(networkInterfaces).mockImplementation(() => { throw Object.assign(new Error('A system error occurred: uv_interface_addresses returned EMFILE'), { code: 'ERR_SYSTEM_ERROR' }) })
  const unreachable = Object.assign(new Error('connect EHOSTUNREACH'), { code: 'EHOSTUNREACH' })
  expect(explain(unreachable, 'connect', {})).toMatchObject({ status: 'unknown', failure: { layer: 'prober' } })
})
