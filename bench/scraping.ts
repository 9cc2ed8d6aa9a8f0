import { get, request } from 'node:http'
import { createGunzip } from 'node:zlib'

export interface Scrape {
  readonly text: string
  /** `performance.now()` at the beginning and the end. */
  readonly began: number
  readonly ended: number
}

/** Asks for /metrics as Prometheus does, in gzip. It is unpacked here, where that costs the one who is asked nothing. */
export function scrape(port: number): Promise<Scrape> {
  return new Promise((resolve, reject) => {
    const began = performance.now()
    request({ port, path: '/metrics', headers: { 'Accept-Encoding': 'gzip' } }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => { chunks.push(chunk) })
      response.on('error', reject)
      response.on('end', () => {
        const ended = performance.now()
        const unpack = createGunzip()
        let text = ''
        unpack.setEncoding('utf8').on('data', (part: string) => { text += part }).on('error', reject).on('end', () => resolve({ text, began, ended }))
        for (const chunk of chunks) unpack.write(chunk)
        unpack.end()
      })
    }).on('error', reject).end()
  })
}

export function fetchText(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (part: string) => { body += part }).on('error', reject).on('end', () => resolve(body))
    }).on('error', reject)
  })
}

/** Sum of the samples whose line matches. */
export function sumOf(text: string, pattern: RegExp): number {
  let sum = 0
  for (const line of text.split('\n')) if (pattern.test(line)) sum += Number(line.slice(line.lastIndexOf(' ') + 1))
  return sum
}
