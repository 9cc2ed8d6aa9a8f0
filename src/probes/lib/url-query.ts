/** The query of a URL as options: `true` and `false` are booleans, all else is text. */
export function queryOptions(url: URL): Record<string, string | boolean> {
  return Object.fromEntries(Array.from(url.searchParams, ([key, value]) => [key, value === 'true' || value === 'false' ? value === 'true' : value]))
}
