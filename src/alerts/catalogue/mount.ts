import { HOUR_MS, MINUTE_MS } from '../durations.ts'
import type { AlertSpec, Family, Settings } from '../model.ts'
import { failing, held, levels, merged, nodeLocal, of, oftenEnough, window, type Level } from '../promql.ts'
import { lookedUp } from '../templates.ts'

const MOUNTS = 'type="mount"'
/** The trend that counts: shorter ones are jobs, longer ones hide a leak that began in the morning. */
const TREND_MS = 6 * HOUR_MS
const FSYNC_MS = 5 * MINUTE_MS

/** A mount is one of a node: the alert says of which. */
const WHERE = '{{ $labels.target }} on {{ or $labels.node $labels.instance }}'
const own = (settings: Settings, metric: string, show: string, matchers = '') => lookedUp(settings, metric, show, matchers, ['instance', 'probe', 'target'])
const why = (settings: Settings) => own(settings, 'probe_failure_info', ' ({{ .Labels.layer }}/{{ .Labels.reason }})')
const kind = (settings: Settings) => own(settings, 'probe_mount_info', ' ({{ .Labels.fstype }} on {{ .Labels.device }})')
const one = (settings: Settings, expr: string) => merged(nodeLocal(settings), 'max', expr)

interface Resource {
  readonly gauge: string
  readonly level: string
  /** What runs out, for people, its verb, and where to look. */
  readonly what: string
  readonly are: string
  readonly look: string
}

const SPACE: Resource = { gauge: 'probe_mount_used_ratio', level: 'used_ratio', what: 'space', are: 'is', look: 'Look for what grows, as with du -x, and delete it or enlarge the volume.' }
const INODES: Resource = { gauge: 'probe_mount_files_used_ratio', level: 'files_used_ratio', what: 'inodes', are: 'are', look: 'There are too many files, however small: look for the directory that holds them, as with du -x --inodes.' }

const LEVEL = {
  warning: { value: 0.9, help: 'share in use' },
  critical: { value: 0.97, help: 'share in use' },
}

function beyondLevel(settings: Settings, { gauge, level }: Resource, numbers: Omit<Level, 'name' | 'worse'>) {
  // An image (squashfs, ISO 9660) is full by nature, and what is mounted read-only is not filled from here.
  const except = one(settings, `${held(settings, 'probe_mount_readonly', MOUNTS)} == 1`)
  return levels(nodeLocal(settings), one(settings, held(settings, gauge, MOUNTS)), { name: level, worse: '>', except, ...numbers })
}

function low(name: string, resource: Resource): AlertSpec {
  return {
    name, severity: 'warning', scope: 'storage', forMs: 5 * MINUTE_MS, dashboard: 'curlew-mounts', thresholds: LEVEL,
    expr: (settings, { warning = LEVEL.warning.value, critical = LEVEL.critical.value }) => beyondLevel(settings, resource, { warning, critical }),
    summary: `${WHERE} runs out of ${resource.what}`,
    description: (settings) => `{{ $value | humanizePercentage }} of the ${resource.what} of ${WHERE}${kind(settings)} ${resource.are} in use. When none ${resource.are} left, writes fail. ${resource.look}`,
  }
}

function fillingUp(name: string, resource: Resource): AlertSpec {
  return {
    name, severity: 'warning', scope: 'storage', forMs: HOUR_MS, dashboard: 'curlew-mounts',
    thresholds: {
      hours: { value: 24, help: 'hours within which it is full' },
      at_least: { value: 0.5, help: 'share in use below which no growth matters' },
      margin: { value: 0.02, help: 'share in use by which it is fuller than ever in the day before, which a nightly job is not' },
      level: { ...LEVEL.warning, help: 'share in use from which the alert on the level speaks instead' },
    },
    expr(settings, { hours = 24, at_least, margin, level = LEVEL.warning.value }) {
      const series = of(settings, resource.gauge, MOUNTS)
      const now = held(settings, resource.gauge, MOUNTS)
      const samples = Math.floor(TREND_MS / settings.scrapeMs / 3)
      return `${one(settings, `(1 - ${now}) / deriv(${series}[6h])
  and predict_linear(${series}[6h], ${hours * 3_600}) >= 1
  and count_over_time(${series}[6h]) >= ${samples}
  and ${now} >= ${at_least}
  and ${now} > ${margin} + max_over_time(${series}[1d] offset 6h)
  and ${now} > max_over_time(${series}[1h] offset 1h)
`)}
and ${oftenEnough(nodeLocal(settings), TREND_MS)}
${beyondLevel(settings, resource, { warning: level }).map(({ expr }) => `unless (${expr})`).join('\n')}`
    },
    summary: `${WHERE} is running out of ${resource.what}`,
    description: (settings) => `At the growth of the last six hours the ${resource.what} of ${WHERE}${kind(settings)} ${resource.are} used up in {{ $value | humanizeDuration }}${own(settings, resource.gauge, `; now {{ .Value | humanizePercentage }} ${resource.are} in use`)}. ${resource.look}`,
  }
}

/** Mounts as each node has them. Only a mount that is known to be bad fires: one that could not be looked at is unknown. */
export const mount: Family = {
  name: 'mount',
  alerts: [
    {
      name: 'MountHung', severity: 'critical', scope: 'storage', forMs: MINUTE_MS, dashboard: 'curlew-mounts',
      expr: (settings) => one(settings, failing(settings, MOUNTS, 'layer="request",reason="hung"')),
      summary: `${WHERE} hangs`,
      description: (settings) => `A call to the file system on ${WHERE}${kind(settings)} does not come back${why(settings)}${own(settings, 'probe_mount_stuck_seconds', '; it has been waiting for {{ .Value | humanizeDuration }}')}. Everything that touches it hangs too, and cannot be killed. Look at its servers and at dmesg of the node.`,
    },
    {
      name: 'MountNotMounted', severity: 'critical', scope: 'storage', forMs: MINUTE_MS, dashboard: 'curlew-mounts',
      expr: (settings) => one(settings, failing(settings, MOUNTS, 'layer="connect",reason="not_found"')),
      summary: `${WHERE} is not mounted`,
      description: (settings) => `What should be mounted on ${WHERE} is not${why(settings)}: nothing, or something else, is. What is written there now goes to another disk.`,
    },
    {
      name: 'MountReadOnly', severity: 'critical', scope: 'storage', forMs: MINUTE_MS, dashboard: 'curlew-mounts',
      expr(settings) {
        // A probe that only reads finds a read-only mount well: that it has turned so is bad all the same.
        const readOnly = of(settings, 'probe_mount_readonly', MOUNTS)
        return one(settings, `${failing(settings, MOUNTS, 'layer="request",reason="read_only"')}
or (${held(settings, 'probe_mount_readonly', MOUNTS)} == 1 and min_over_time(${readOnly}[1d]) == 0)`)
      },
      summary: `${WHERE} is read-only`,
      description: (settings) => `The file system on ${WHERE}${kind(settings)} takes no writes${why(settings)}. A file system turns read-only by itself after an error of its disk: look at dmesg of the node before you mount it again.`,
    },
    {
      name: 'MountFsyncSlow', severity: 'warning', scope: 'storage', forMs: 5 * MINUTE_MS, dashboard: 'curlew-mounts',
      thresholds: { seconds: { value: 1, help: 'seconds that fsync takes, in the mean of five minutes; of slower probes, in the last run' } },
      expr(settings, { seconds }) {
        const fsync = 'phase="fsync"'
        const often = oftenEnough(nodeLocal(settings), FSYNC_MS)
        const mean = merged(nodeLocal(settings), 'max', `avg_over_time(${of(settings, 'probe_mount_duration_seconds', fsync)}[${window(settings, FSYNC_MS)}])`, 'phase')
        const last = merged(nodeLocal(settings), 'max', held(settings, 'probe_mount_duration_seconds', fsync), 'phase')
        return `((${mean} and ${often}) or ${last}) > ${seconds}`
      },
      summary: `${WHERE} is slow to write`,
      description: (settings) => `fsync of a small file on ${WHERE}${kind(settings)} takes {{ $value | humanizeDuration }}: databases and everything else that must not lose a write wait so long for each. Look at its disks or servers.`,
    },
    low('MountSpaceLow', SPACE),
    fillingUp('MountSpaceFillingUp', SPACE),
    low('MountInodesLow', INODES),
    fillingUp('MountInodesFillingUp', INODES),
  ],
}
