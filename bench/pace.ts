/**
 * Makes this process do something at a steady rate while whoever forked it says so: it is told `go` and `halt`, `count` is
 * answered only, and every answer says how much has been done and lost. What is due within `tickMs` is begun together.
 */
export function atASteadyRate(perSecond: number, tickMs: number, begin: (turn: number) => void, progress: () => { readonly done: number, readonly lost: number }): void {
  let begun = 0
  let timer: NodeJS.Timeout | undefined

  const go = () => {
    const [since, before] = [performance.now(), begun]
    timer = setInterval(() => {
      const due = before + Math.floor((performance.now() - since) / 1000 * perSecond)
      while (begun < due) begin(begun++)
    }, tickMs)
  }
  process.on('message', (message) => {
    if (message === 'go') go()
    if (message === 'halt') clearInterval(timer)
    process.send?.(progress())
  })
  process.on('disconnect', () => process.exit())
}
