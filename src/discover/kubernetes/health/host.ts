import type { Source } from '../source.ts'
import { healthName } from './names.ts'

/**
 * What freezes the node that this Curlew runs on; nothing where it is not told which that is. The pod's own /proc shows the
 * kernel's numbers, which are the node's; with the host's processes it shows those too.
 */
export function hostSource(): Source {
  return {
    name: 'host',
    watches: [],
    find: ({ node, ...context }) => ({
      found: node === undefined ? [] : [{
        entry: { name: healthName(context, 'host'), type: 'host', target: node, every: '30s', mode: 'read-only' },
        node, object: `Node ${node}`, why: 'the node that this Curlew runs on',
      }],
      refused: [],
    }),
  }
}
