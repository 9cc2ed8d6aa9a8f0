/** A library that is imported by the first run that needs it: `import()` of what is there already still costs 15 us. One that failed to load may load the next time. */
export function loader<T>(load: () => Promise<T>): () => Promise<T> {
  let loading: Promise<T> | undefined
  return () => loading ??= load().catch((error: unknown) => {
    loading = undefined
    throw error
  })
}
