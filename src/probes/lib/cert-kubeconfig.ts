import { posix } from 'node:path'
import { z } from 'zod'
import { readYaml } from '../../core/yaml.ts'
import { FileProblem } from './cert-codes.ts'

/** Certificates of one cluster or user: as PEM text, or in a file. */
export interface KubeconfigPart {
  /** `cluster/NAME` or `user/NAME`. */
  readonly name: string
  readonly pem?: string
  readonly path?: string
}

/** One of these keys begins a line or follows another: YAML or JSON. */
const LOOKS_LIKE = /(?:^|[{,])[ \t]*["']?(?:clusters|users)["']?[ \t]*:/m
/** A kubeconfig of 500 clusters; the parser takes 60 ms for so many nodes on the event loop. */
const MOST_NODES = 10_000

const text = z.string().nullish()
const name = z.union([z.string(), z.number().transform(String)]).default('')
const kubeconfig = z.looseObject({
  clusters: z.array(z.looseObject({ name, cluster: z.looseObject({ 'certificate-authority': text, 'certificate-authority-data': text }).nullish() })).nullish(),
  users: z.array(z.looseObject({ name, user: z.looseObject({ 'client-certificate': text, 'client-certificate-data': text }).nullish() })).nullish(),
})

export function isKubeconfig(content: string): boolean {
  return LOOKS_LIKE.test(content)
}

/** The certificates of every cluster and user, not only of the current context. Data wins over files, as in kubectl. Throws FileProblem. */
export function readKubeconfig(content: string, path: string): { readonly parts: readonly KubeconfigPart[], readonly problems: readonly FileProblem[] } {
  if ((content.match(/[\n,[{]/g)?.length ?? 0) > MOST_NODES) throw new FileProblem('cert_unsupported', 'a kubeconfig with too many entries')
  const { value, errors: [error] } = readYaml(content)
  if (error) throw new FileProblem('cert_no_certificate', `a broken kubeconfig: line ${error.line}: ${error.message}`)
  const { data } = kubeconfig.safeParse(value)
  if (!data) throw new FileProblem('cert_no_certificate', 'not the structure of a kubeconfig')

  const parts: KubeconfigPart[] = []
  const problems: FileProblem[] = []
  const add = (part: string, base64: string | null | undefined, file: string | null | undefined) => {
    if (base64) {
      if (isBase64(base64)) parts.push({ name: part, pem: Buffer.from(base64, 'base64').toString('latin1') })
      else problems.push(new FileProblem('cert_no_certificate', `the data of ${part} is not base64`))
    } else if (file) parts.push({ name: part, path: posix.resolve(posix.dirname(path), file) })
  }
  for (const { name: own, cluster } of data.clusters ?? []) add(`cluster/${own}`, cluster?.['certificate-authority-data'], cluster?.['certificate-authority'])
  for (const { name: own, user } of data.users ?? []) add(`user/${own}`, user?.['client-certificate-data'], user?.['client-certificate'])
  return { parts, problems }
}

/** Go's decoder, which reads these in Kubernetes, takes no other alphabet and wants the padding. */
function isBase64(data: string): boolean {
  const bare = data.replace(/[\r\n]/g, '')
  return bare.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(bare)
}
