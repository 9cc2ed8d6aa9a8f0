import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { runCurlew } from '../support/curlew.ts'
import { freePort, temporaryDirectory } from '../support/process.ts'
import { startRedis, type RedisServer } from '../support/redis-server.ts'
import { configsOf, objectsOf, podOf, textOf } from './manifests.ts'

const home = temporaryDirectory()
let redis: RedisServer | undefined
afterAll(async () => {
  await redis?.stop()
  home.remove()
})

/** What `kubectl describe pod` shows of a container that failed: FallbackToLogsOnError keeps the last 2048 bytes, 80 lines at most. */
const described = (log: string) => log.trimEnd().split('\n').slice(-80).join('\n').slice(-2048)

const objects = objectsOf(textOf('deploy/examples/init-container.yaml'))
const [container] = objects.flatMap((object) => podOf(object)?.spec.initContainers ?? [])
const [config] = configsOf(objects)

/** The example's own config and arguments, with its Redis on a port of this machine. */
function check(port: number, wait: string) {
  writeFileSync(join(home.path, 'redis-password'), 'a secret of the shop\n')
  const text = config!.files[0]!.text.replace('redis.shop:6379', `127.0.0.1:${port}`).replaceAll('/etc/curlew-secrets', home.path).replace(/^.*mysql.*\n/m, '')
  writeFileSync(join(home.path, 'curlew.yaml'), text)
  const args = (container!['args'] as string[]).map((arg) => ({ '2m': wait, '/etc/curlew': join(home.path, 'curlew.yaml') })[arg] ?? arg)
  return (options?: Parameters<typeof runCurlew>[1]) => runCurlew(args, options)
}

describe('the init container of the example', () => {
  it('blocks while Redis is down, says which layer is at fault, and lets go once it is up', async () => {
    const port = await freePort()
    const down = await check(port, '1s')()
    expect(down.code).toBe(1)
    expect(described(down.stderr + down.stdout)).toMatch(new RegExp(`✗ cache 127\\.0\\.0\\.1:${port}[^]*failed connect/refused`))

    const comes = await check(port, '20s')({
      meanwhile: async () => { redis = await startRedis({ port, config: ['requirepass "a secret of the shop"'], adminPassword: 'a secret of the shop' }) },
    })
    expect(comes).toMatchObject({ code: 0, stdout: expect.stringMatching(/✓ cache .*\n1 ok, 0 failed, 0 unknown/) })
    expect(comes.stdout + comes.stderr).not.toContain('a secret of the shop')
  })

  it('tells a wrong password from an outage', async () => {
    const run = check(redis!.port, '1s')
    writeFileSync(join(home.path, 'redis-password'), 'another\n')
    const { code, stdout, stderr } = await run()
    expect(code).toBe(1)
    expect(described(stderr + stdout)).toContain('failed auth/')
    expect(stdout + stderr).not.toContain('another')
  })
})
