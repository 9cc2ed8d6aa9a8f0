import { z } from 'zod'
import type { Target } from '../../core/probe.ts'
import { CERTIFICATE_OBJECTS, inNamespace } from '../../kubernetes/collections.ts'
import { OBJECT_NAME } from '../../kubernetes/options.ts'

export type CertKind = keyof typeof CERTIFICATE_OBJECTS

/** One object of the API. */
export class ObjectTarget implements Target {
  readonly kind: CertKind
  /** Of a Secret; empty for the others, which have none. */
  readonly namespace: string
  readonly name: string

  constructor(kind: CertKind, namespace: string, name: string) {
    this.kind = kind
    this.namespace = namespace
    this.name = name
  }

  toString(): string {
    return [this.kind, this.namespace, this.name].filter((part) => part !== '').join('/')
  }

  /** For a GET of this object alone. */
  apiPath(): string {
    const { path } = CERTIFICATE_OBJECTS[this.kind]
    return `${this.namespace === '' ? path : inNamespace(path, this.namespace)}/${this.name}`
  }
}

const isKind = (text: string): text is CertKind => Object.hasOwn(CERTIFICATE_OBJECTS, text)

/** `secret/NAMESPACE/NAME`, or `KIND/NAME` of the kinds that belong to the whole cluster. */
export function objectTarget() {
  const shape = 'secret/NAMESPACE/NAME, validatingwebhook/NAME, mutatingwebhook/NAME, apiservice/NAME or crd/NAME'
  return z.string().transform((text, context) => {
    const [kind = '', ...names] = text.split('/')
    if (isKind(kind) && names.length === (kind === 'secret' ? 2 : 1) && names.every((name) => OBJECT_NAME.test(name))) {
      const [name = '', namespace = ''] = names.toReversed()
      return new ObjectTarget(kind, namespace, name)
    }
    context.addIssue(`expected ${shape}`)
    return z.NEVER
  }).describe(shape)
}
