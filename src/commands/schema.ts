import { jsonSchema } from '../config/schema.ts'
import { notifySchema } from '../notify/options.ts'
import { probeTypes } from '../probes/index.ts'
import { EXIT, readArgs, type Io } from './usage.ts'

export const help = `Usage: curlew schema

Prints the JSON Schema (draft 07) of the config file, for editors.
`

/** `curlew schema`. */
export async function schema(args: readonly string[], io: Io): Promise<number> {
  readArgs({ args: [...args], options: {} })
  io.out(`${JSON.stringify(jsonSchema(probeTypes, notifySchema), null, 2)}\n`)
  return EXIT.ok
}
