import type { SenderEvent } from './delivery/work.ts'
import type { ChannelDepth } from './outbox.ts'

/** Which probe an alert is about: where its target is, and where its prober, as far as the labels say. */
export interface ProbeQuestion {
  readonly probe: string
  readonly target?: string
  readonly cluster?: string
  readonly source_cluster?: string
}

/** What the process that owns the HTTP socket tells the one that owns the outbox: one JSON a line. */
export type ToForwarder =
  /**
   * The section `notify:` as it was read, where the outbox is (absolute), what files in the section are relative to, and the
   * variables of the environment that name proxies. The first line; again after a reload.
   */
  | { readonly kind: 'config', readonly notify: unknown, readonly directory: string, readonly cwd: string, readonly env: Readonly<Record<string, string>> }
  /** `body` is base64: what Alertmanager posted, unread. */
  | { readonly kind: 'alerts', readonly id: number, readonly path?: string, readonly body: string }
  | { readonly kind: 'found', readonly id: number, readonly answer: unknown }
  /** End after what is being sent. */
  | { readonly kind: 'stop' }

export type FromForwarder =
  /** The outbox is open. */
  | { readonly kind: 'ready' }
  /** It cannot be had; this process ends. */
  | { readonly kind: 'failed', readonly message: string }
  | { readonly kind: 'answer', readonly id: number, readonly status: number, readonly text: string }
  | { readonly kind: 'lookup', readonly id: number, readonly question: ProbeQuestion }
  | { readonly kind: 'accepted', readonly received: number, readonly duplicates: number, readonly merged: number, readonly queued: Readonly<Record<string, number>> }
  | { readonly kind: 'channel', readonly channel: string, readonly event: Exclude<SenderEvent, { kind: 'trouble' | 'bug' }> }
  | { readonly kind: 'depths', readonly depths: readonly ChannelDepth[], readonly local: boolean }
  /** Whether the Redis that replicas share can be used. */
  | { readonly kind: 'shared', readonly up: boolean }
  | { readonly kind: 'looked_up', readonly found: boolean }
  | { readonly kind: 'log', readonly level: 'info' | 'warn' | 'error', readonly message: string, readonly fields: Readonly<Record<string, unknown>> }
