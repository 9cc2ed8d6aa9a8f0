import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { VERSION } from '../../src/core/version.ts'
import { configProblems } from './configs.ts'
import { beyondRestricted, configsOf, deploy, imagesOf, nameOf, objectsOf, podOf, textOf } from './manifests.ts'
import { schemaProblems } from './published-schemas.ts'

describe.each(readdirSync(join(deploy, 'examples')))('deploy/examples/%s', (file) => {
  const objects = objectsOf(textOf(`deploy/examples/${file}`))

  it('is valid, restricted, and runs this version', async () => {
    expect((await Promise.all(objects.map(schemaProblems))).flat()).toEqual([])
    expect(objects.flatMap((object) => podOf(object)?.spec ?? []).flatMap(beyondRestricted)).toEqual([])
    expect(configsOf(objects).flatMap(configProblems)).toEqual([])
    expect(imagesOf(objects).filter((image) => ![`curlew:${VERSION}`, 'registry.example.com/shop/app:1.0.0'].includes(image))).toEqual([])
  })

  it('shows the last lines of a check that failed, and no password on a command line', () => {
    const checks = objects.flatMap((object) => {
      const pod = podOf(object)?.spec
      return [...(pod?.initContainers ?? []), ...(pod?.containers ?? [])].filter(({ image }) => image.startsWith('curlew:')).map((container) => ({ of: nameOf(object), container }))
    })
    for (const { of, container } of checks) expect(container, of).toMatchObject({ args: ['check', '--wait', '2m', '-c', '/etc/curlew'], terminationMessagePolicy: 'FallbackToLogsOnError' })
    expect(textOf(`deploy/examples/${file}`)).not.toMatch(/:[^/\s]*@|password: (?!"\$\{file:)/)
  })
})
