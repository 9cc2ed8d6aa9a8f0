import { posix } from 'node:path'
import { FileProblem } from './cert-codes.ts'
import type { Files } from './cert-files.ts'

export interface Place {
  readonly path: string
  /** It must be there and hold a certificate. */
  readonly strict: boolean
}

/** Where the kubelet keeps its certificates, whatever directory kubeadm's own lie in, and where its configuration is. */
const KUBELET = '/var/lib/kubelet/pki'
const KUBELET_CONFIG = '/var/lib/kubelet/config.yaml'
const KUBELET_PORT = 10250

/**
 * What listens on a node that kubeadm has set up: the static pod by port, and the flag that says which file it shows there. A
 * controller manager or scheduler without the flag, as kubeadm starts them, makes a certificate in memory: there is no file to
 * compare it with.
 */
const SERVERS: Readonly<Record<number, { readonly pod: string, readonly flag: string }>> = {
  6443: { pod: 'kube-apiserver.yaml', flag: 'tls-cert-file' },
  2379: { pod: 'etcd.yaml', flag: 'cert-file' },
  10257: { pod: 'kube-controller-manager.yaml', flag: 'tls-cert-file' },
  10259: { pod: 'kube-scheduler.yaml', flag: 'tls-cert-file' },
}

/** Ports whose certificate is known to be a certain file, or none. */
export const KUBEADM_PORTS: readonly number[] = [...Object.keys(SERVERS).map(Number), KUBELET_PORT]

/** Beside each directory of kubeadm (certlist.go, renewal/manager.go): the static pod that cannot do without the files, and those that may be there. */
const KUBEADM: readonly { readonly directory: string, readonly pod: string, readonly needed: readonly string[], readonly others: readonly string[] }[] = [
  { directory: '', pod: 'kube-apiserver.yaml', needed: ['controller-manager.conf', 'scheduler.conf'], others: ['admin.conf', 'super-admin.conf', 'kubelet.conf'] },
  { directory: 'pki', pod: 'kube-apiserver.yaml', needed: ['apiserver.crt', 'apiserver-kubelet-client.crt', 'front-proxy-client.crt', 'ca.crt', 'front-proxy-ca.crt'], others: ['apiserver-etcd-client.crt'] },
  { directory: 'pki/etcd', pod: 'etcd.yaml', needed: ['server.crt', 'peer.crt', 'healthcheck-client.crt', 'ca.crt'], others: [] },
]

export interface ServedFile {
  readonly path: string
  /** False where the server may have been told of another file, which cannot be seen. */
  readonly certain: boolean
}

export interface KubeadmFiles {
  readonly places: readonly Place[]
  readonly problems: readonly FileProblem[]
  /** Which of the files the server on a port of `KUBEADM_PORTS` shows; a port is missing where this node has no such server, or it shows none of them. */
  readonly served: ReadonlyMap<number, ServedFile>
}

/**
 * The files of a node that kubeadm has set up, whatever its role; what `kubeadm certs check-expiration` leaves out, the kubelet's
 * own, among them. A file is missing only if the node runs what needs it: a worker has no control plane, and etcd may be elsewhere.
 */
export async function kubeadmPlaces(files: Files, directory: string): Promise<KubeadmFiles> {
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
  const kubelet = kubeletPlaces(await namesIn(KUBELET))
  places.push(...kubelet.places)
  const served = await servedFiles(files, directory, pods, kubelet.served)
  for (const { path } of served.values()) {
    if (!places.some((place) => place.path === path)) places.push({ path, strict: true })
  }
  if (places.length === 0 && problems.length === 0) problems.push(new FileProblem('cert_not_found', `${directory} has none of the files of kubeadm, nor ${KUBELET} of the kubelet`))
  return { places, problems, served }
}

async function servedFiles(files: Files, directory: string, pods: readonly string[], kubelet: string | undefined): Promise<ReadonlyMap<number, ServedFile>> {
  const served = new Map<number, ServedFile>()
  // Asked for by its directory: a file that is missing is waited for.
  const configured = await files.list(posix.dirname(KUBELET_CONFIG)).then(({ names }) => names.includes(posix.basename(KUBELET_CONFIG)), unlessHung(false))
  const configuration = configured ? await textOf(files, KUBELET_CONFIG) : ''
  const own = valueIn(configuration, /^tlsCertFile:[ \t]*/m)
  const shown = own ?? kubelet
  // What it is told to show may lie where it is not mounted: another file is not what it shows.
  if (shown !== undefined && (own === undefined || await isThere(files, own))) served.set(KUBELET_PORT, { path: shown, certain: configuration.trim() !== '' })
  for (const [port, { pod, flag }] of Object.entries(SERVERS)) {
    const path = pods.includes(pod) ? valueIn(await textOf(files, posix.join(directory, 'manifests', pod)), new RegExp(`^[ \\t]*-[ \\t]+["']?--${flag}=`, 'm')) : undefined
    // The path is the container's: kubeadm mounts its directories where they lie, others may not.
    if (path !== undefined && await isThere(files, path)) served.set(Number(port), { path, certain: true })
  }
  return served
}

/** The absolute path that follows `key`. */
function valueIn(text: string, key: RegExp): string | undefined {
  const match = key.exec(text)
  const value = match && /^["']?(\/[^\s"']+)/.exec(text.slice(match.index + match[0].length))?.[1]
  return value ? posix.normalize(value) : undefined
}

/** Empty where it cannot be read: then nothing is compared. */
function textOf(files: Files, path: string): Promise<string> {
  return files.read(path).then((bytes) => bytes?.toString() ?? '', unlessHung(''))
}

function isThere(files: Files, path: string): Promise<boolean> {
  return files.kind(path).then((kind) => kind === 'file', unlessHung(false))
}

/** Stands for what a file does not say; a file system that hangs, and what is no fault of a file, ends the run. */
function unlessHung<T>(otherwise: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof FileProblem && error.code !== 'cert_hung') return otherwise
    throw error
  }
}

/**
 * The certificates that the kubelet uses: for each purpose the link to the current one where it is rotated, else the file that
 * was made once. The link is gone for a moment when it is renewed, the dated files behind it never are.
 */
function kubeletPlaces(names: readonly string[]): { readonly places: readonly Place[], readonly served: string | undefined } {
  const rotated = (prefix: string) => names.some((name) => name.startsWith(`${prefix}-`) && name.endsWith('.pem'))
  const current = ['kubelet-client', 'kubelet-server'].filter(rotated).map((prefix) => `${prefix}-current.pem`)
  const once = !rotated('kubelet-server') && names.includes('kubelet.crt') ? ['kubelet.crt'] : []
  const places = [...current, ...once].map((name) => ({ path: posix.join(KUBELET, name), strict: true }))
  return { places, served: places.find(({ path }) => !path.endsWith('/kubelet-client-current.pem'))?.path }
}
