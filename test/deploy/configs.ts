import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readConfig } from '../../src/config/load.ts'
import { readNotify } from '../../src/config/notify.ts'
import { probeTypes } from '../../src/probes/index.ts'
import { temporaryDirectory } from '../support/process.ts'
import type { Config } from './manifests.ts'

/** What the pods get by the downward API and from Secrets. */
const ENVIRONMENT = { NODE_NAME: 'node-1', MESH_ADDRESS: '', POD_NAME: 'curlew-0', POD_NAMESPACE: 'curlew', REDIS_PASSWORD: 'from-a-secret', MYSQL_PASSWORD: 'from-a-secret' }
const SECRET_FILES = { 'token': 'a-token-of-the-webhook', 'slack-url': 'https://hooks.slack.com/services/T0/B0/example', 'redis-password': 'a password', 'mysql-password': 'a password' }

/** What `curlew validate` has against a config of a ConfigMap, in a pod that has its Secrets. */
export function configProblems({ name, files }: Config): string[] {
  const secrets = temporaryDirectory()
  try {
    for (const [file, content] of Object.entries(SECRET_FILES)) writeFileSync(join(secrets.path, file), content)
    const texts = files.map(({ file, text }) => ({ file, text: text.replaceAll('/etc/curlew-secrets', secrets.path) }))
    return readConfig(texts, { types: probeTypes, env: ENVIRONMENT }, readNotify).diagnostics.map(({ file, line, path, message }) => `${name}: ${file}:${line}: ${path}: ${message}`)
  } finally {
    secrets.remove()
  }
}
