import { registerHooks } from 'node:module'
import { vi } from 'vitest'

const major = Number(process.versions.node.split('.')[0])
if (major < 24) throw new Error(`The tests need Node 24 or newer, this is ${process.versions.node}: run them with npm test.`)

// Files that share a process share its libraries, and nothing of ours.
vi.resetModules()

const HOOKED = Symbol.for('curlew.tests.hooked')
if (!Object.hasOwn(globalThis, HOOKED)) {
  Object.defineProperty(globalThis, HOOKED, { value: true })
  // 850 files of the Kubernetes library that nobody asks for, and that the bundle leaves out too: half a second in every test file that loads the rest.
  registerHooks({
    resolve(specifier, context, next) {
      const unused = specifier === './gen/index.js' && context.parentURL?.endsWith('/client-node/dist/config.js')
      return unused ? { url: 'data:text/javascript,export let createConfiguration, ServerConfiguration', shortCircuit: true } : next(specifier, context)
    },
  })
}
