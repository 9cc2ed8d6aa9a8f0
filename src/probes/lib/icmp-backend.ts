import { ProbeFailure } from '../../core/probe.ts'
import type { Echoer, EchoOutcome } from './icmp-echo.ts'
import { createFping } from './icmp-fping.ts'
import { createLane } from './icmp-lane.ts'
import { openEchoSocket } from './icmp-socket.ts'

/** What nobody has used for so long is closed. */
const IDLE_MS = 60_000
/** Where pinging does not work, or not even to this machine, everything is tried anew after so long. */
const AGAIN_MS = 10_000
/** How long this machine may take to answer itself. */
const SELF_TEST_MS = 400
/** The kernel begins to stamp packets only when a socket has asked for it: the first one may go without. */
const SELF_TEST_COUNT = 2
/** Errors of a socket that say that this machine has run out of something. */
const EXHAUSTED: readonly unknown[] = ['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS']

interface Entry {
  readonly opening: Promise<Opened>
  opened: Opened | undefined
  usedAt: number
}

type Opened =
  /** `sure` when it has been answered by this machine; else only a reply makes its silence mean something. */
  | { readonly echoer: Echoer, readonly sure: boolean }
  | { readonly error: Error }

/** One for each family, with and without the don't-fragment bit: those are properties of a socket. */
const entries = new Map<string, Entry>()

/**
 * What sends echo requests of a kind, shared by all runs: an unprivileged socket where ping_group_range allows it, else a raw
 * one, else fping; the first through which this machine answers itself. Rejects with a ProbeFailure of layer prober that says
 * what is missing, or with the kernel's error; and when that is not clear at `endAt` (`performance.now()`).
 */
export async function echoerFor(family: 4 | 6, dontFragment: boolean, endAt: number): Promise<Echoer> {
  const key = `${family} ${dontFragment}`
  const entry = entries.get(key) ?? start(key, family, dontFragment)
  entry.usedAt = performance.now()
  const opened = entry.opened ?? await inTime(entry.opening, endAt)
  if ('error' in opened) throw opened.error
  return opened.echoer
}

function start(key: string, family: 4 | 6, dontFragment: boolean): Entry {
  const opening = open(family, dontFragment).catch((error: unknown): Opened => ({ error: error instanceof Error ? error : new Error(String(error)) }))
  const entry: Entry = { opening, opened: undefined, usedAt: performance.now() }
  entries.set(key, entry)
  void opening.then((opened) => {
    entry.opened = opened
    const openedAt = performance.now()
    const isSure = () => 'echoer' in opened && (opened.sure || opened.echoer.proven())
    const look = () => {
      const leftMs = isSure() ? IDLE_MS - (performance.now() - entry.usedAt) : AGAIN_MS - (performance.now() - openedAt)
      if (leftMs > 0 || ('echoer' in opened && !opened.echoer.idle())) {
        setTimeout(look, Math.max(1_000, leftMs)).unref()
        return
      }
      entries.delete(key)
      if ('echoer' in opened) opened.echoer.close()
    }
    setTimeout(look, AGAIN_MS).unref()
  })
  return entry
}

async function open(family: 4 | 6, dontFragment: boolean): Promise<Opened> {
  const reasons: string[] = []
  let silent: Echoer | undefined
  for (const kind of ['dgram', 'raw'] as const) {
    const name = kind === 'raw' ? 'a raw ICMP socket' : 'an unprivileged ICMP socket'
    try {
      const lane = createLane((listener) => openEchoSocket(family, kind, dontFragment, listener))
      const { rtts, unsent } = await selfTest(lane, family, dontFragment)
      // Without a loopback address there is nothing to test with.
      if (rtts.length > 0 || unsent) {
        silent?.close()
        return { echoer: lane, sure: rtts.length > 0 }
      }
      reasons.push(`${name}: this machine does not answer itself`)
      if (silent) lane.close()
      else silent = lane
    } catch (error) {
      if (!(error instanceof Error)) throw error
      const code = 'code' in error ? error.code : undefined
      if (EXHAUSTED.includes(code)) return { error }
      if (code === 'EAFNOSUPPORT') return { error: new ProbeFailure('prober_no_network', `this machine has no IPv${family}`) }
      reasons.push(`${name}: ${error.message}`)
    }
  }
  const fping = createFping(family, dontFragment)
  const { rtts, unsent } = await selfTest(fping, family, dontFragment)
  // The process of the test is of no other use.
  fping.close()
  if (rtts.length > 0) {
    silent?.close()
    return { echoer: fping, sure: true }
  }
  // Machines may be told to answer no pings (net.ipv4.icmp_echo_ignore_all): the first reply of a target proves as much.
  if (silent) return { echoer: silent, sure: false }
  reasons.push(`fping: ${unsent?.message ?? 'this machine does not answer it'}`)
  return { error: new ProbeFailure('ping_denied', `no ICMP echo request can be sent from here; allow this group in net.ipv4.ping_group_range, or grant CAP_NET_RAW (${reasons.join('; ')})`) }
}

/** Echo requests to ourselves. */
function selfTest(echoer: Echoer, family: 4 | 6, dontFragment: boolean): Promise<EchoOutcome> {
  return echoer.ping({
    address: { ip: family === 4 ? '127.0.0.1' : '::1', family }, count: SELF_TEST_COUNT, intervalMs: 10, timeoutMs: SELF_TEST_MS, payloadSize: 56, dontFragment, ttl: 64,
    endAt: performance.now() + 2 * SELF_TEST_MS,
  })
}

/** What was opened, or that this takes too long. */
async function inTime(opening: Promise<Opened>, endAt: number): Promise<Opened> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Opened>((resolve) => {
    timer = setTimeout(() => resolve({ error: new ProbeFailure('ping_self_test', 'the self-test has not ended in time') }), endAt - performance.now())
  })
  try {
    return await Promise.race([opening, late])
  } finally {
    clearTimeout(timer)
  }
}
