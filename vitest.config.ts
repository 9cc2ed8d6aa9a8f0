import { defineConfig } from 'vitest/config'

const SUITES = ['alone', 'servers', 'e2e', 'faults', 'chaos', 'kubernetes']

/** One project a suite: which files belong to it is told by their names. */
const suite = (name: string, include: string[], more: { readonly exclude?: string[], readonly isolate?: boolean, readonly globalSetup?: string[] } = {}) => ({
  test: { name, include, testTimeout: 10_000, hookTimeout: 30_000, setupFiles: ['test/support/setup.ts'], ...more },
})

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    projects: [
      // A process for each file would be half of what they cost.
      suite('unit', ['test/**/*.test.ts'], { exclude: SUITES.map((name) => `test/**/*.${name}.test.ts`), isolate: false }),
      // What looks at its own process: its children, its open files, its limits.
      suite('unit-alone', ['test/**/*.alone.test.ts']),
      suite('servers', ['test/**/*.servers.test.ts'], { globalSetup: ['test/support/built.ts'] }),
      suite('faults', ['test/**/*.faults.test.ts'], { globalSetup: ['test/support/built.ts'] }),
      suite('e2e', ['test/**/*.e2e.test.ts']),
      suite('chaos', ['test/**/*.chaos.test.ts']),
      suite('kubernetes', ['test/**/*.kubernetes.test.ts']),
    ],
  },
})
