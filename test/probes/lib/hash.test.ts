import { expect, it } from 'vitest'
import { fnv1a } from '../../../src/probes/lib/hash.ts'

// From http://www.isthe.com/chongo/src/fnv/test_fnv.c
it.each([['', 0x811c9dc5], ['a', 0xe40c292c], ['foobar', 0xbf9cf968]])('the hash of %j is FNV-1a', (text, hash) => {
  expect(fnv1a(text)).toBe(hash)
})
