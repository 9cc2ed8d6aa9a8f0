/** Milliseconds for a person: `0.42 ms`, `12 ms`, `1.5 s`. */
export function duration(ms: number): string {
  if (ms < 10) return `${ms.toFixed(2)} ms`
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}

/** What a target sent may hold control characters that would drive the terminal, or turn the order of a line around. */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- the control characters are what has to go
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, ' ')
}
