// Takes the lock on the state directory argv[2], or says why it cannot; holds it until it is killed if argv[3] is `keep`.
import { lockDirectory } from '../../../../src/notify/store/lock.ts'

const [path = '', what] = process.argv.slice(2)
try {
  const lock = await lockDirectory(path, 0)
  process.stdout.write('held\n')
  if (what === 'keep') setInterval(() => {}, 1_000)
  else lock.release()
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`)
}
