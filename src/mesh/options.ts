import { isIP } from 'node:net'
import { z } from 'zod'
import { MESH_PORT } from '../core/mesh.ts'

/** An address of this machine, all of them where it is undefined, and a port for TCP and UDP. */
export interface Listen {
  readonly host: string | undefined
  readonly port: number
}

const WANTED = `expected [address]:port such as :${MESH_PORT}, 10.0.0.1:${MESH_PORT} or [fd00::1]:${MESH_PORT}`

/** The section `mesh` of the config. An IPv6 address may lack its brackets: what a pod is told of its host has none. */
export const meshSchema = z.strictObject({
  listen: z.string().transform((text, context): Listen => {
    const [, six, other = '', digits] = /^(?:\[([^\]]+)\]|(.*)):(\d{1,5})$/.exec(text) ?? []
    const host = six ?? other
    const port = Number(digits)
    if (port >= 1 && port <= 65_535 && (host === '' || isIP(host) === 6 || (six === undefined && isIP(host) === 4))) return { host: host === '' ? undefined : host, port }
    context.addIssue(WANTED)
    return z.NEVER
  }).meta({ examples: [`:${MESH_PORT}`] }).describe('address and port, TCP and UDP, at which the agents of other nodes are answered'),
})

export type MeshConfig = z.output<typeof meshSchema>
