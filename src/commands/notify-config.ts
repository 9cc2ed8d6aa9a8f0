import { resolve } from 'node:path'
import { ConfigError, loadChecked } from '../checked.ts'
import type { NotifyConfig } from '../notify/options.ts'
import { findConfig } from './config-path.ts'
import { UsageError, type Io } from './usage.ts'

/** The section `notify` of the config file that is meant. Throws a ConfigError, or a UsageError where there is none. */
export async function readNotify(path: string | undefined, io: Io): Promise<NotifyConfig> {
  const file = findConfig(path, io)
  if (file === undefined) throw new UsageError('expected a config file with a section notify: name it with -c')
  const loaded = await loadChecked(file, true)
  if (!loaded.config) throw new ConfigError(loaded.errors)
  if (!loaded.config.notify) throw new UsageError(`${file} has no section notify`)
  return loaded.config.notify
}

/** Where the outbox of this config is, absolute. */
export function outboxDirectory(notify: NotifyConfig, io: Io): string {
  return resolve(notify.storage.path ?? io.env['STATE_DIRECTORY'] ?? 'data')
}
