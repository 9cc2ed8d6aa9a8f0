import { posix } from 'node:path'
import { FileProblem } from './cert-codes.ts'
import type { Files } from './cert-files.ts'

export interface Place {
  readonly path: string
  /** It must be there and hold a certificate. */
  readonly strict: boolean
}

/** Where the kubelet keeps its certificates, whatever directory kubeadm's own lie in. */
const KUBELET = '/var/lib/kubelet/pki'

/** Beside each directory of kubeadm (certlist.go, renewal/manager.go): the static pod that cannot do without the files, and those that may be there. */
const KUBEADM: readonly { readonly directory: string, readonly pod: string, readonly needed: readonly string[], readonly others: readonly string[] }[] = [
  { directory: '', pod: 'kube-apiserver.yaml', needed: ['controller-manager.conf', 'scheduler.conf'], others: ['admin.conf', 'super-admin.conf', 'kubelet.conf'] },
  { directory: 'pki', pod: 'kube-apiserver.yaml', needed: ['apiserver.crt', 'apiserver-kubelet-client.crt', 'front-proxy-client.crt', 'ca.crt', 'front-proxy-ca.crt'], others: ['apiserver-etcd-client.crt'] },
  { directory: 'pki/etcd', pod: 'etcd.yaml', needed: ['server.crt', 'peer.crt', 'healthcheck-client.crt', 'ca.crt'], others: [] },
]

/**
 * The files of a node that kubeadm has set up, whatever its role; what `kubeadm certs check-expiration` leaves out, the kubelet's
 * own, among them. A file is missing only if the node runs what needs it: a worker has no control plane, and etcd may be elsewhere.
 */
export async function kubeadmPlaces(files: Files, directory: string): Promise<{ readonly places: readonly Place[], readonly problems: readonly FileProblem[] }> {
  const problems: FileProblem[] = []
  const namesIn = async (path: string): Promise<readonly string[]> => {
    try {
      return (await files.list(path)).names
    } catch (error) {
      if (!(error instanceof FileProblem) || error.code === 'cert_hung') throw error
      if (error.code !== 'cert_not_found') problems.push(error)
      return []
    }
  }
  const pods = await namesIn(posix.join(directory, 'manifests'))
  const places: Place[] = []
  for (const { directory: below, pod, needed, others } of KUBEADM) {
    const there = await namesIn(posix.join(directory, below))
    for (const name of [...needed, ...others]) {
      const strict = pods.includes(pod) && needed.includes(name)
      if (strict || there.includes(name)) places.push({ path: posix.join(directory, below, name), strict: strict || name.endsWith('.crt') })
    }
  }
  places.push(...kubeletPlaces(await namesIn(KUBELET)))
  if (places.length === 0 && problems.length === 0) problems.push(new FileProblem('cert_not_found', `${directory} has none of the files of kubeadm, nor ${KUBELET} of the kubelet`))
  return { places, problems }
}

/**
 * The certificates that the kubelet uses: for each purpose the link to the current one where it is rotated, else the file that
 * was made once. The link is gone for a moment when it is renewed, the dated files behind it never are.
 */
function kubeletPlaces(names: readonly string[]): Place[] {
  const rotated = (prefix: string) => names.some((name) => name.startsWith(`${prefix}-`) && name.endsWith('.pem'))
  const current = ['kubelet-client', 'kubelet-server'].filter(rotated).map((prefix) => `${prefix}-current.pem`)
  const once = !rotated('kubelet-server') && names.includes('kubelet.crt') ? ['kubelet.crt'] : []
  return [...current, ...once].map((name) => ({ path: posix.join(KUBELET, name), strict: true }))
}
