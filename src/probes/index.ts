import type { ProbeType } from '../core/probe.ts'

/** Every probe type: a new one is a file beside this one and a line here. */
export const probeTypes: readonly ProbeType[] = []
