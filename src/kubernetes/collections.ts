/** A collection as one namespace has it: `/api/v1/services` in `shop` is `/api/v1/namespaces/shop/services`. */
export function inNamespace(path: string, namespace: string): string {
  const at = path.lastIndexOf('/')
  return `${path.slice(0, at)}/namespaces/${encodeURIComponent(namespace)}${path.slice(at)}`
}

/** Objects of the API that hold certificates: by the word that a target of kube-cert begins with the API's name of the kind, and where all of the cluster are listed. */
export const CERTIFICATE_OBJECTS = {
  validatingwebhook: { kind: 'ValidatingWebhookConfiguration', path: '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations' },
  mutatingwebhook: { kind: 'MutatingWebhookConfiguration', path: '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations' },
  apiservice: { kind: 'APIService', path: '/apis/apiregistration.k8s.io/v1/apiservices' },
  crd: { kind: 'CustomResourceDefinition', path: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions' },
  secret: { kind: 'Secret', path: '/api/v1/secrets' },
} as const
