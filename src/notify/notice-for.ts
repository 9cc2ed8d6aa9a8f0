import { severityRank } from './alert.ts'
import { compose } from './compose.ts'
import type { Findings } from './findings.ts'
import { mentionsFor } from './mentions.ts'
import type { Notice } from './notice.ts'
import type { NotifyConfig } from './options.ts'
import type { Entry } from './outbox.ts'
import { routeName } from './routing.ts'

/** What a message says beside its entries. `now` is ms since 1970. */
export interface MessageOptions {
  readonly findings: ReadonlyMap<string, Findings>
  readonly digest: boolean
  /** Alerts that wait and follow. */
  readonly more: number
  readonly now: number
}

/** The message for entries of one route, in its language, with whom it calls. A route that a reload has taken away tells in English, and calls nobody. */
export function noticeFor(config: NotifyConfig, entries: readonly Entry[], { findings, digest, more, now }: MessageOptions): Notice {
  const route = config.routes.find((one, index) => routeName(one, index) === entries[0]?.route)
  const [gravest] = entries.filter(({ alert }) => alert.status === 'firing').toSorted((a, b) => severityRank(a.alert.labels) - severityRank(b.alert.labels))
  const called = route && gravest ? mentionsFor(config, route, gravest.alert.labels['severity'] ?? '', now) : { people: [], everyone: false }
  const template = route?.template === undefined ? undefined : config.templates[route.template]
  return compose({
    entries,
    route: { lang: route?.lang ?? 'en', timezone: route?.timezone ?? 'UTC', ...(template === undefined ? {} : { template }) },
    findings,
    ...called,
    digest,
    more,
    ...(config.external_url === undefined ? {} : { externalUrl: config.external_url }),
    now,
  })
}
