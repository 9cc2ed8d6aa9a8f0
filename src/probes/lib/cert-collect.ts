import { posix } from 'node:path'
import { FileProblem, type Problem } from './cert-codes.ts'
import { datesProblem, type CertificateFacts } from './cert-facts.ts'
import type { Files } from './cert-files.ts'
import { kubeadmPlaces, type Place, type ServedFile } from './cert-kubeadm.ts'
import { readCertificates, type Readers } from './cert-read.ts'

/** Everything that was read, and everything that is wrong with it. */
export interface Collected {
  readonly found: readonly CertificateFacts[]
  /** Every file that was to be read, and whether its certificates could be. */
  readonly files: ReadonlyMap<string, boolean>
  readonly problems: readonly Problem[]
  /** With a preset: the file that the server on a port shows, for those of `KUBEADM_PORTS` that this node has. */
  readonly served: ReadonlyMap<number, ServedFile> | undefined
  /** What ended the reading early and is no fault of a file. */
  readonly ended: Error | undefined
}

const MOST_FILES = 200
const MOST_CERTIFICATES = 2_000
const NAMES = /^[^.].*\.(?:pem|crt|cer|der|p12|pfx|jks|jceks|keystore|truststore|conf|kubeconfig)$/i

/** Reads a file, the files of a directory, or those of kubeadm. One that is bad keeps no other from being read. Never rejects. */
export async function collect(readers: Readers, path: string, preset: 'kubeadm' | undefined): Promise<Collected> {
  const found: CertificateFacts[] = []
  const files = new Map<string, boolean>()
  const problems: Problem[] = []
  let served: Collected['served']
  let ended: Error | undefined
  const add = (file: string, { code, message }: FileProblem) => problems.push({ code, message: message.includes(file) ? message : `${file}: ${message}` })
  try {
    const all = preset === 'kubeadm' ? await kubeadmPlaces(readers.files, path) : await placesOf(readers.files, path)
    served = all.served
    for (const problem of all.problems) add(path, problem)
    for (const { path: file, strict } of all.places) {
      if (found.length >= MOST_CERTIFICATES) {
        add(path, new FileProblem('cert_too_many', `more than ${MOST_CERTIFICATES} certificates; the files from ${file} on were not read`))
        break
      }
      try {
        const { found: here, problems: bad, other } = await readCertificates(readers, file)
        const none = here.length + bad.length === 0
        if (none && other && !strict) continue
        files.set(file, bad.length === 0 && !none)
        found.push(...here)
        for (const problem of bad) add(file, problem)
        if (none) add(file, new FileProblem('cert_no_certificate', 'it holds no certificate'))
      } catch (error) {
        if (!(error instanceof FileProblem)) throw error
        files.set(file, false)
        // What hangs is not asked for the next file.
        if (error.code === 'cert_hung') throw error
        add(file, error)
      }
    }
    if (all.places.length > 0 && files.size === 0) add(path, new FileProblem('cert_no_certificate', 'none of its files holds a certificate'))
  } catch (error) {
    if (error instanceof FileProblem) add(path, error)
    else ended = error instanceof Error ? error : new Error(String(error))
  }
  return { found, files, served, ended, problems: [...found.flatMap((facts) => datesProblem(facts) ?? []), ...problems] }
}

async function placesOf(files: Files, path: string): Promise<{ readonly places: readonly Place[], readonly problems: readonly FileProblem[], readonly served?: undefined }> {
  if (await files.kind(path) !== 'directory') return { places: [{ path, strict: true }], problems: [] }
  const { names, more } = await files.list(path)
  const wanted = names.filter((name) => NAMES.test(name))
  const problems: FileProblem[] = []
  if (wanted.length === 0) problems.push(new FileProblem('cert_no_certificate', 'the directory has no file that is named like certificates (*.pem, *.crt, *.p12, *.jks and so on)'))
  if (more || wanted.length > MOST_FILES) problems.push(new FileProblem('cert_too_many', `the directory has more files than are looked at: ${MOST_FILES} were read`))
  return { places: wanted.slice(0, MOST_FILES).map((name) => ({ path: posix.join(path, name), strict: false })), problems }
}
