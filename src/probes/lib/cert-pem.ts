/** Certificates of a PEM text, each as a text of its own, and what else stands in it. */
export interface PemText {
  readonly certificates: readonly string[]
  /** Keys, requests, revocation lists and so on. */
  readonly others: number
  /** A block has no end: the file was cut off, or is being written. */
  readonly cut: boolean
}

const MARKER = /-----(BEGIN|END) ([A-Z0-9 ]{1,40})-----/g
const CERTIFICATE: readonly string[] = ['CERTIFICATE', 'TRUSTED CERTIFICATE', 'X509 CERTIFICATE']

/** Reads PEM (RFC 7468) in one pass, whatever stands between the blocks. */
export function readPem(text: string): PemText {
  const certificates: string[] = []
  let others = 0
  let cut = false
  let open: { readonly label: string, readonly start: number } | undefined
  for (const { 0: marker, 1: kind, 2: label = '', index } of text.matchAll(MARKER)) {
    if (kind === 'BEGIN') {
      cut ||= open !== undefined
      open = { label, start: index }
    } else if (open?.label === label) {
      if (CERTIFICATE.includes(label)) certificates.push(text.slice(open.start, index + marker.length))
      else others++
      open = undefined
    }
  }
  return { certificates, others, cut: cut || open !== undefined }
}
