import { defineConfig } from 'vitest/config'

/** One project a suite: which files belong to it is told by their names. */
const suite = (name: string, include: string[], exclude: string[] = []) => ({
  test: { name, include, exclude, testTimeout: 10_000, hookTimeout: 30_000, setupFiles: ['test/support/setup.ts'] },
})

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    projects: [
      suite('unit', ['test/**/*.test.ts'], ['test/**/*.servers.test.ts', 'test/**/*.e2e.test.ts', 'test/**/*.faults.test.ts', 'test/**/*.chaos.test.ts', 'test/**/*.kubernetes.test.ts']),
      suite('servers', ['test/**/*.servers.test.ts']),
      suite('faults', ['test/**/*.faults.test.ts']),
      suite('e2e', ['test/**/*.e2e.test.ts']),
      suite('chaos', ['test/**/*.chaos.test.ts']),
      suite('kubernetes', ['test/**/*.kubernetes.test.ts']),
    ],
  },
})
