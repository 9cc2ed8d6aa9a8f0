import { it } from 'vitest'
import { openSqliteOutbox } from '../../../src/notify/store/sqlite.ts'
import { temporaryDirectory } from '../../support/process.ts'
import { outboxContract } from './contract.ts'
import { PROPERTY_OPTIONS, expectSameAsModel } from './properties.ts'
import { OPTIONS } from './samples.ts'

outboxContract('sqlite', async (options) => {
  const directory = temporaryDirectory()
  const outbox = openSqliteOutbox(directory.path, { ...OPTIONS, ...options })
  return {
    outbox,
    async close() {
      await outbox.close()
      directory.remove()
    },
  }
})

it('answers as a plain model does, whatever is done to it', async () => {
  await expectSameAsModel(async () => {
    const directory = temporaryDirectory()
    const outbox = openSqliteOutbox(directory.path, PROPERTY_OPTIONS)
    return {
      outbox,
      async close() {
        await outbox.close()
        directory.remove()
      },
    }
  }, 200)
}, 60_000)
