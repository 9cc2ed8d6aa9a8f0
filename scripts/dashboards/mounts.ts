import type { Spec } from './frame.ts'
import { numberOf } from './numbers.ts'
import { above, bands, lines, rows, STATE_WORDS, YES_IS_BAD } from './panels.ts'
import { mounts as targets, stateOf } from './promql.ts'

const { max, merged, of } = targets
const MOUNT = '{{node}} {{instance}} {{target}}'
const LABELS = ['cluster', 'node', 'instance', 'probe', 'target']

export const mounts: Spec = {
  uid: 'curlew-mounts', about: 'targets', types: ['mount'],
  description: 'Mounts, each on its own node: state, space, inodes and how long writes take to be safe.',
  sections: [
    { title: 'State', panels: [
      bands({ title: 'State', unit: 'short', mappings: STATE_WORDS, toTarget: true, description: 'How each mount was on each node.', queries: [{ expr: stateOf(targets), legend: MOUNT }] }),
      rows({ title: 'Mounts', unit: 'short', description: 'What is mounted.', labels: [...LABELS, 'fstype', 'device'], values: [''], queries: [{ expr: max('probe_mount_info') }] }),
      bands({ title: 'Read-only', unit: 'short', mappings: YES_IS_BAD, toTarget: true, description: 'Whether it is mounted read-only, or has turned so after an error.', queries: [{ expr: max('probe_mount_readonly'), legend: MOUNT }] }),
      lines({ title: 'Stuck for', unit: 's', min: 0, toTarget: true, steps: [[1, 'red']], noValue: 'No call hangs.', description: 'How long a call on the mount has been hanging; a mount without a line answers.', queries: [{ expr: max('probe_mount_stuck_seconds'), legend: MOUNT }] }),
    ] },
    { title: 'Space', panels: [
      lines({
        title: 'Space used', unit: 'percentunit', min: 0, max: 1, toTarget: true, steps: above(numberOf('MountSpaceLow', 'warning'), numberOf('MountSpaceLow', 'critical')),
        description: 'Space taken over what users may take, as df shows it.', queries: [{ expr: max('probe_mount_used_ratio'), legend: MOUNT }],
      }),
      rows({
        title: 'Space left', unit: 'bytes', sortBy: 'in a day', ascending: true, steps: [[-Infinity, 'red'], [0, 'green']],
        description: 'Space left now, the size, and what is left in a day if it goes on as in the last 6 hours: below 0 it is full by then.',
        labels: LABELS, values: ['left', 'size', 'in a day'],
        queries: [{ expr: max('probe_mount_available_bytes') }, { expr: max('probe_mount_size_bytes') }, { expr: merged('min', `predict_linear(${of('probe_mount_available_bytes')}[6h], 86400)`) }],
      }),
    ] },
    { title: 'Inodes', panels: [
      lines({
        title: 'Inodes used', unit: 'percentunit', min: 0, max: 1, toTarget: true, steps: above(numberOf('MountInodesLow', 'warning'), numberOf('MountInodesLow', 'critical')),
        description: 'Inodes taken over all: without one no file can be made, whatever space is left.', queries: [{ expr: max('probe_mount_files_used_ratio'), legend: MOUNT }],
      }),
      rows({
        title: 'Inodes left', unit: 'short', sortBy: 'in a day', ascending: true, steps: [[-Infinity, 'red'], [0, 'green']],
        description: 'Inodes left now, all, and what is left in a day if it goes on as in the last 6 hours.',
        labels: LABELS, values: ['left', 'all', 'in a day'],
        queries: [{ expr: max('probe_mount_files_free') }, { expr: max('probe_mount_files') }, { expr: merged('min', `predict_linear(${of('probe_mount_files_free')}[6h], 86400)`) }],
      }),
    ] },
    { title: 'Time', panels: [
      lines({
        title: 'fsync', unit: 's', min: 0, toTarget: true, steps: above(numberOf('MountFsyncSlow', 'seconds')), description: 'How long a small write took to be safe, the mean of 5 minutes: what databases wait for.',
        queries: [{ expr: merged('max', `avg_over_time(${of('probe_mount_duration_seconds', 'phase="fsync"')}[5m])`), legend: MOUNT }],
      }),
      lines({ title: 'Phases', unit: 's', stacked: true, min: 0, description: 'How long each phase took, the mean of these mounts.', queries: [{ expr: `avg by (phase) (${of('probe_mount_duration_seconds')})`, legend: '{{phase}}' }] }),
    ] },
  ],
}
