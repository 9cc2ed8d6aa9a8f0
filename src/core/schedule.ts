import { createTask } from 'node-cron'
import type { Job, Schedule } from './probe.ts'

/** The next `count` times (milliseconds since the epoch) of a cron expression after now. */
export function nextCronRuns(schedule: { readonly cron: string, readonly timezone: string | undefined }, count: number): readonly number[] {
  const task = createTask(schedule.cron, () => {}, schedule.timezone === undefined ? {} : { timezone: schedule.timezone })
  try {
    return task.getNextRuns(count).map((date) => date.getTime())
  } finally {
    void task.destroy() // synchronous: the task was never started
  }
}

const DAY_MS = 86_400_000

/** Milliseconds between two runs; of a cron job the gap between its next two. */
export function periodMs(schedule: Schedule): number {
  if ('everyMs' in schedule) return schedule.everyMs
  const [first, second] = nextCronRuns(schedule, 2)
  return first !== undefined && second !== undefined ? second - first : DAY_MS
}

/** A number in [0, 1) that is the same for a job in every process: where in its interval it runs. */
export function spreadOf(job: Pick<Job, 'id'>): number {
  return Number.parseInt(job.id.slice(0, 8), 16) / 2 ** 32
}
