/** `; did you mean every?` when a known word is one or two letters away, and not all of its letters, else nothing. */
export function nearest(word: string, known: readonly string[]): string {
  const close = known.map((other) => ({ other, far: distance(word, other) })).filter(({ other, far }) => far <= 2 && far < other.length).toSorted((a, b) => a.far - b.far)[0]
  return close ? `; did you mean ${close.other}?` : ''
}

/** Optimal string alignment: letters that are added, left out, replaced, or swapped with the next one, which is how most are mistyped. */
function distance(a: string, b: string): number {
  let before: readonly number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? (before[j - 2] ?? Infinity) + 1 : Infinity
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1), swapped))
    }
    before = row
    row = next
  }
  return row[b.length] ?? 0
}
