import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { temporaryDirectory } from '../support/process.ts'
import { deploy } from './manifests.ts'

const home = temporaryDirectory()
const bin = join(home.path, 'bin')
const archive = join(home.path, 'images.tar')
const log = join(home.path, 'log')
afterAll(() => { home.remove() })

// A machine that has what plain sh needs, and the tools that a test gives it.
beforeEach(() => {
  for (const path of [bin, archive, log]) rmSync(path, { recursive: true, force: true })
  mkdirSync(bin)
  for (const name of ['sh', 'dirname', 'grep', 'tr', 'mktemp', 'rm', 'mv', 'tar', 'cat']) symlinkSync(spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim(), join(bin, name))
  writeFileSync(join(home.path, 'two.txt'), '# what we run\ncurlew:0.1.0\n\nquay.example/team/redis:7\n')
})

/** A tool that notes how it was called, writes what it was told to write, and fails where `fails` is in the call. */
function tool(name: string, fails = 'never') {
  writeFileSync(join(bin, name), `#!/bin/sh
echo "${name} $*" >> '${log}'
[ "$1" != save ] || echo half > '${archive}.partial'
case "$*" in *'${fails}'*) echo "${name}: no" >&2; exit 1 ;; esac
while [ $# -gt 0 ]; do
  case $1 in
    -o) echo archive > "$2" ;;
    export) echo archive > "$2" ;;
    docker-archive:*) file=\${1#docker-archive:}; case $file in *.tar:*) echo image > "\${file%%.tar:*}.tar" ;; esac ;;
  esac
  shift
done
`, { mode: 0o755 })
}

function images(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(join(deploy, 'images.sh'), args, { encoding: 'utf8', env: { PATH: bin, TMPDIR: home.path } })
  return { status, stdout, stderr, calls: existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [] }
}

const two = ['--images', join(home.path, 'two.txt')]

describe('images.sh', () => {
  it('tells how it is used', () => {
    expect(images('--help')).toMatchObject({ status: 0, stdout: expect.stringMatching(/^Usage: images\.sh save ARCHIVE/) })
  })

  it.each([
    [[], 'expected save or load'],
    [['keep', 'a.tar'], 'keep: expected save or load'],
    [['save'], 'save: expected the path of an archive'],
    [['save', 'a.tar', '--force'], '--force: there is no such option'],
    [['save', 'a.tar', 'b.tar'], 'b.tar: expected one archive'],
    [['save', 'a.tar', '--registry', 'r.example'], '--registry: only load takes it'],
    [['load', 'a.tar', '--registry'], '--registry: expected a value'],
    [['load', 'a.tar', '--tool', 'rkt'], '--tool: rkt: expected docker, podman, nerdctl, ctr or skopeo'],
  ])('refuses %j', (args, sentence) => {
    expect(images(...args)).toEqual({ status: 2, stdout: '', stderr: `images.sh: ${sentence} (images.sh --help tells more)\n`, calls: [] })
  })

  it('says what is missing', () => {
    expect(images('save', archive)).toMatchObject({ status: 1, stderr: 'images.sh: none of docker, podman, nerdctl, ctr and skopeo is on this machine\n' })
    expect(images('save', archive, '--tool', 'podman').stderr).toBe('images.sh: podman is not on this machine\n')
    expect(images('save', archive, '--images', '/nowhere').stderr).toBe('images.sh: /nowhere: the list of images cannot be read\n')
    tool('docker')
    expect(images('load', archive).stderr).toBe(`images.sh: ${archive}: the archive cannot be read\n`)
  })

  it.each([
    ['docker', ['docker pull curlew:0.1.0', 'docker pull quay.example/team/redis:7', `docker save -o ${archive}.partial curlew:0.1.0 quay.example/team/redis:7`]],
    ['podman', ['podman pull curlew:0.1.0', 'podman pull quay.example/team/redis:7', `podman save --multi-image-archive -o ${archive}.partial curlew:0.1.0 quay.example/team/redis:7`]],
    ['nerdctl', ['nerdctl pull curlew:0.1.0', 'nerdctl pull quay.example/team/redis:7', `nerdctl save -o ${archive}.partial curlew:0.1.0 quay.example/team/redis:7`]],
    ['ctr', ['ctr -n k8s.io images pull docker.io/library/curlew:0.1.0', 'ctr -n k8s.io images pull quay.example/team/redis:7', `ctr -n k8s.io images export ${archive}.partial docker.io/library/curlew:0.1.0 quay.example/team/redis:7`]],
  ])('saves with %s', (name, calls) => {
    tool(name)
    expect(images('save', archive, ...two)).toEqual({ status: 0, stdout: `saved to ${archive}: curlew:0.1.0 quay.example/team/redis:7\n`, stderr: '', calls })
    expect(existsSync(archive)).toBe(true)
  })

  it('takes an image that was built here and can be pulled from nowhere', () => {
    tool('docker', 'pull curlew')
    expect(images('save', archive)).toMatchObject({ status: 0, calls: ['docker pull curlew:0.1.0', 'docker image inspect curlew:0.1.0', `docker save -o ${archive}.partial curlew:0.1.0`] })
  })

  it('leaves no half of an archive', () => {
    tool('docker', 'curlew:0.1.0 quay')
    expect(images('save', archive, ...two)).toMatchObject({ status: 1, stderr: `docker: no\nimages.sh: docker could not write ${archive}.partial\n` })
    expect(readdirSync(home.path).filter((name) => name.startsWith('images.tar'))).toEqual([])
  })

  it.each([
    ['docker', ['docker load -i ARCHIVE', 'docker tag curlew:0.1.0 r.example:5000/m/curlew:0.1.0', 'docker push r.example:5000/m/curlew:0.1.0', 'docker tag quay.example/team/redis:7 r.example:5000/m/team/redis:7', 'docker push r.example:5000/m/team/redis:7']],
    ['nerdctl', ['nerdctl --namespace k8s.io load -i ARCHIVE', 'nerdctl --namespace k8s.io tag curlew:0.1.0 r.example:5000/m/curlew:0.1.0', 'nerdctl --namespace k8s.io push r.example:5000/m/curlew:0.1.0', 'nerdctl --namespace k8s.io tag quay.example/team/redis:7 r.example:5000/m/team/redis:7', 'nerdctl --namespace k8s.io push r.example:5000/m/team/redis:7']],
    ['ctr', ['ctr -n k8s.io images import ARCHIVE', 'ctr -n k8s.io images tag --force docker.io/library/curlew:0.1.0 r.example:5000/m/curlew:0.1.0', 'ctr -n k8s.io images push r.example:5000/m/curlew:0.1.0', 'ctr -n k8s.io images tag --force quay.example/team/redis:7 r.example:5000/m/team/redis:7', 'ctr -n k8s.io images push r.example:5000/m/team/redis:7']],
  ])('loads with %s, and pushes to a registry', (name, calls) => {
    tool(name)
    writeFileSync(archive, '')
    const expected = calls.map((call) => call.replace('ARCHIVE', archive))
    expect(images('load', archive, ...two, '--registry', 'r.example:5000/m/')).toEqual({ status: 0, stdout: 'pushed r.example:5000/m/curlew:0.1.0\npushed r.example:5000/m/team/redis:7\n', stderr: '', calls: expected })
    rmSync(log)
    expect(images('load', archive, ...two)).toMatchObject({ status: 0, calls: expected.slice(0, 1) })
  })

  it('goes to a registry and back with skopeo', () => {
    tool('skopeo')
    expect(images('save', archive, ...two)).toMatchObject({ status: 0, stderr: '' })
    expect(images('load', archive, ...two, '--registry', 'r.example')).toMatchObject({ status: 0, stderr: '', stdout: 'pushed r.example/curlew:0.1.0\npushed r.example/team/redis:7\n' })
    expect(images('load', archive).stderr).toBe('images.sh: skopeo has no place of its own for images: name one with --registry\n')
  })

  it('says which image is nowhere', () => {
    tool('docker', 'curlew')
    expect(images('save', archive)).toMatchObject({ status: 1, stderr: expect.stringContaining('images.sh: curlew:0.1.0 could be neither pulled nor found here\n') })
  })

  it('says which image a registry did not take', () => {
    tool('docker', 'push r.example/team')
    writeFileSync(archive, '')
    expect(images('load', archive, ...two, '--registry', 'r.example')).toMatchObject({ status: 1, stderr: 'docker: no\nimages.sh: quay.example/team/redis:7 could not be pushed to r.example\n' })
  })
})
