import { startChild, type Child } from '../../children.ts'
import { ProbeFailure } from '../../core/probe.ts'
import type { Echoer, EchoOutcome, EchoRequest, Refusal } from './icmp-echo.ts'

/** fping sends to each address this often, whatever interval is asked for: it knows only one for all of them. */
const PERIOD_MS = 500
/** The least distance that it keeps between two packets. */
const SPACING_MS = 1
/** How many kinds of packets there may be at a time: each is a process of its own. */
const MOST_GROUPS = 3
/** A new address takes a new process: at most one a second. */
const GATHER_MS = 1_000
/** An address that nobody has asked about for so long is left out at the next start. */
const FORGET_MS = 300_000
/** This machine is pinged beside the targets; only while it answers is silence believed. */
const CANARY = { 4: '127.0.0.1', 6: '::1' } as const
const CANARY_MS = 4 * PERIOD_MS
/** A line of it is far shorter. */
const LONGEST_LINE = 4_096

interface Run {
  readonly count: number
  readonly timeoutMs: number
  readonly startedAt: number
  readonly rtts: number[]
  sent: number
  duplicates: number
  refusal: Refusal | undefined
  end(unsent?: Error): void
}

/** All addresses that get the same packets. */
interface Group {
  child: Child | undefined
  /** What is pinged: the runs that are under way, none between them, and when the last one began. */
  readonly addresses: Map<string, { readonly runs: Set<Run>, askedAt: number }>
  /** When this machine answered last. */
  canaryAt: number
  /** A start that is due. */
  timer: NodeJS.Timeout | undefined
}

/**
 * Pings through processes of fping(8) that keep running: for a machine where we may open no ICMP socket and fping, which has
 * a capability of its own, may. A run counts what is sent to its address while it lasts, twice a second. Silence is believed
 * only while this machine answers the same process: without privileges, fping 5.1 sees no reply at all.
 */
export function createFping(family: 4 | 6, dontFragment: boolean): Echoer {
  const groups = new Map<string, Group>()

  const groupOf = (request: EchoRequest): Group | undefined => {
    const key = [request.payloadSize, request.ttl, request.timeoutMs].join(' ')
    const known = groups.get(key)
    if (known) return known
    const [unused] = groups.size < MOST_GROUPS ? [] : [...groups].filter(([, group]) => isIdle(group))
    if (groups.size >= MOST_GROUPS && !unused) return undefined
    if (unused) {
      stop(unused[1])
      groups.delete(unused[0])
    }
    const group: Group = { child: undefined, addresses: new Map(), canaryAt: -Infinity, timer: undefined }
    groups.set(key, group)
    return group
  }

  const start = (group: Group, { payloadSize, ttl, timeoutMs }: EchoRequest) => {
    stop(group)
    for (const [ip, { runs, askedAt }] of group.addresses) if (runs.size === 0 && performance.now() - askedAt > FORGET_MS) group.addresses.delete(ip)
    const child = startChild('fping', [
      '--loop', `-${family}`, ...(dontFragment ? ['--dontfrag'] : []), `--size=${payloadSize}`, `--ttl=${ttl}`, `--timeout=${timeoutMs}`,
      `--period=${PERIOD_MS}`, `--interval=${SPACING_MS}`, ...new Set([CANARY[family], ...group.addresses.keys()]),
    ], (why) => {
      if (group.child !== child) return
      group.child = undefined
      endAll(group, new ProbeFailure('prober_worker_lost', child.complaint().trim().split('\n').at(-1)?.replace(/^fping: /, '') || why))
    })
    group.child = child
    readLines(child.process.stdout, (line) => onResult(group, family, line))
    readLines(child.process.stderr, (line) => onComplaint(group, line))
  }

  const startSoon = (group: Group, request: EchoRequest) => {
    group.timer ??= setTimeout(() => {
      group.timer = undefined
      try {
        start(group, request)
      } catch (error) {
        endAll(group, error instanceof Error ? error : new Error(String(error)))
      }
    }, group.child ? GATHER_MS : 0).unref()
  }

  return {
    ping: (request) => new Promise((resolve) => {
      const { address: { ip }, count, endAt } = request
      const now = performance.now()
      const group = groupOf(request)
      if (!group) {
        resolve({ ...NOTHING, unsent: new ProbeFailure('prober_children', `${MOST_GROUPS} fping processes for other packets run already`) })
        return
      }
      const known = group.addresses.get(ip)
      const address = known ?? { runs: new Set(), askedAt: now }
      address.askedAt = now
      group.addresses.set(ip, address)
      const run: Run = {
        count, timeoutMs: request.timeoutMs, startedAt: now, rtts: [], sent: 0, duplicates: 0, refusal: undefined,
        end(unsent) {
          if (!address.runs.delete(run)) return
          clearTimeout(timer)
          const { sent, rtts, duplicates, refusal } = run
          const nothing = sent > 0 ? undefined : new ProbeFailure('ping_self_test', `fping has reported nothing about ${ip}`)
          resolve({ ...NOTHING, sent, rtts, duplicates, refusal, unsent: unsent ?? nothing, proven: isProven(group) })
        },
      }
      const timer = setTimeout(() => run.end(), endAt - now)
      address.runs.add(run)
      if (!known || !group.child || hasForgotten(group)) startSoon(group, request)
    }),
    proven: () => [...groups.values()].some(isProven),
    idle: () => [...groups.values()].every(isIdle),
    close() {
      for (const group of groups.values()) stop(group)
      groups.clear()
    },
  }
}

const NOTHING: EchoOutcome = { sent: 0, rtts: [], duplicates: 0, replyTtl: undefined, refusal: undefined, unsent: undefined, overflowed: false, proven: false }

/** Whether this machine has answered a moment ago. */
function isProven({ canaryAt }: Group): boolean {
  return performance.now() - canaryAt < CANARY_MS
}

function isIdle({ addresses }: Group): boolean {
  return [...addresses.values()].every(({ runs }) => runs.size === 0)
}

/** Whether it pings an address that nobody has asked about for long. */
function hasForgotten({ addresses }: Group): boolean {
  const now = performance.now()
  return addresses.values().some(({ askedAt }) => now - askedAt > FORGET_MS)
}

function stop(group: Group): void {
  clearTimeout(group.timer)
  group.timer = undefined
  const { child } = group
  group.child = undefined
  child?.process.kill('SIGKILL')
}

function endAll(group: Group, why: Error): void {
  for (const { runs } of group.addresses.values()) for (const run of runs) run.end(why)
}

/** `10.9.3.2 : [0], 64 bytes, 0.037 ms (0.037 avg, 0% loss)`, or `timed out` or `duplicate for [0], …` in the middle. */
function onResult(group: Group, family: 4 | 6, line: string): void {
  const [, ip = '', duplicate, ms] = /^(\S+)\s+: (duplicate for )?\[\d+\], (?:timed out|\d+ bytes, ([\d.]+) ms)/.exec(line) ?? []
  const now = performance.now()
  if (ip === CANARY[family] && ms !== undefined) group.canaryAt = now
  for (const run of group.addresses.get(ip)?.runs ?? []) {
    const sentAt = now - (ms === undefined ? run.timeoutMs : Number(ms))
    // An answer to what was sent before the run is no part of it.
    if (sentAt < run.startedAt) continue
    if (duplicate !== undefined) {
      run.duplicates++
      continue
    }
    run.sent++
    if (ms !== undefined) run.rtts.push(Number(ms))
    if (run.sent >= run.count) run.end()
  }
}

/** `ICMP Host Unreachable from 10.9.2.2 for ICMP Echo sent to 10.9.3.2`. */
function onComplaint(group: Group, line: string): void {
  const [, says, from, ip = ''] = /^ICMP\S* (.+) from (\S+) for ICMP Echo sent to (\S+)/.exec(line) ?? []
  if (says === undefined) return
  for (const run of group.addresses.get(ip)?.runs ?? []) run.refusal = { from, kind: kindOf(says), says: says.toLowerCase() }
}

function kindOf(says: string): Refusal['kind'] {
  if (/time exceeded/i.test(says)) return 'ttl_exceeded'
  if (/fragmentation|too big/i.test(says)) return 'too_big'
  if (/prohibited|port|protocol/i.test(says)) return 'rejected'
  return /unreachable/i.test(says) ? 'unreachable' : 'other'
}

function readLines(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = ''
  stream.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString('latin1')).split('\n')
    rest = (lines.pop() ?? '').slice(-LONGEST_LINE)
    for (const line of lines) onLine(line)
  })
}
