import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const root = new URL('../', import.meta.url)
const instructions = readFileSync(new URL('Dockerfile', root), 'utf8')
  .replaceAll(/^#.*\n/gm, '').replaceAll(/\\\n/g, ' ')
  .split('\n').filter((line) => line.trim() !== '')
  .map((line) => ({ keyword: line.split(' ')[0] ?? '', rest: line.slice(line.indexOf(' ') + 1).trim() }))
const last = (keyword: string) => instructions.findLast((instruction) => instruction.keyword === keyword)?.rest ?? ''

describe('the Dockerfile', () => {
  const fromHere = instructions.filter(({ keyword, rest }) => keyword === 'COPY' && !rest.startsWith('--from')).flatMap(({ rest }) => rest.split(/\s+/).slice(0, -1))

  it('copies what is there and what .dockerignore lets through', () => {
    const allowed = readFileSync(new URL('.dockerignore', root), 'utf8').split('\n').filter((line) => line.startsWith('!')).map((line) => line.slice(1))
    expect(fromHere.length).toBeGreaterThan(5)
    for (const source of fromHere) {
      expect(existsSync(new URL(source, root)), source).toBe(true)
      expect(allowed).toContain(source)
    }
  })

  it('ends as a user without rights, given by number so that Kubernetes can check it', () => {
    const stages = instructions.map(({ keyword }) => keyword)
    expect(stages.lastIndexOf('USER')).toBeGreaterThan(stages.lastIndexOf('FROM'))
    expect(last('USER')).toMatch(/^[1-9]\d{3,}:[1-9]\d{3,}$/)
  })

  it('keeps the outbox where its user may write', () => {
    const [, directory = '?'] = /\bSTATE_DIRECTORY=(\S+)/.exec(last('ENV')) ?? []
    expect(instructions.some(({ keyword, rest }) => keyword === 'COPY' && rest.includes(`--chown=${last('USER')} `) && rest.endsWith(` ${directory}`))).toBe(true)
  })

  it('needs no shell to run or to be checked', () => {
    const command = (text: string): unknown => JSON.parse(text)
    expect(command(last('ENTRYPOINT'))).toEqual(['/usr/local/bin/node', '/app/bin/curlew.js'])
    expect(command(last('CMD'))).toEqual(['serve'])
    expect(command(last('HEALTHCHECK').replace(/^.*? CMD /, ''))).toEqual(['/usr/local/bin/node', '-e', expect.stringContaining('/-/healthy')])
    const stages = instructions.map(({ keyword }) => keyword)
    expect(stages.slice(stages.lastIndexOf('FROM'))).not.toContain('RUN')
  })

  it('bounds the space for young objects as the launcher does', () => {
    const [, flag = '?'] = /\bNODE_OPTIONS=(\S+)/.exec(last('ENV')) ?? []
    expect(readFileSync(new URL('bin/curlew.js', root), 'utf8')).toContain(`const NODE_FLAGS = ['${flag}']\n`)
  })

  it('has the command that the runbooks name, and starts it without a shell', () => {
    const [, text = ''] = instructions.flatMap(({ rest }) => /^printf '(.+)' > curlew && chmod 0755 curlew$/.exec(rest) ?? [])
    expect(text.split('\\n')).toEqual(['#!/usr/local/bin/node', 'import("/app/bin/curlew.js")', ''])
    expect(instructions.some(({ keyword, rest }) => keyword === 'COPY' && rest === '--from=build /build/curlew /usr/local/bin/curlew')).toBe(true)
  })

  it('takes both bases as arguments, and the Node that is pinned', () => {
    expect(instructions.filter(({ keyword }) => keyword === 'FROM').map(({ rest }) => rest.split(' ')[0])).toEqual(['${BUILD_IMAGE}', '${RUNTIME_IMAGE}'])
    const manifest = readFileSync(new URL('package.json', root), 'utf8')
    expect(instructions.find(({ rest }) => rest.startsWith('BUILD_IMAGE='))?.rest).toContain(`node:${/"node": "(\d[\d.]+)"/.exec(manifest)?.[1] ?? '?'}-`)
  })
})
