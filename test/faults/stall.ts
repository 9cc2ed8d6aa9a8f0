// Loaded before Curlew (NODE_OPTIONS=--import): soon after the first connection is begun its event loop stands still for STALL_MS.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'

const CONNECTING = 'net.client.socket'
/** The connection is made by then, and the answer not there. */
const SOON_MS = 50

function stall(): void {
  unsubscribe(CONNECTING, stall)
  setTimeout(() => {
    const until = performance.now() + Number(process.env['STALL_MS'])
    while (performance.now() < until) Math.sqrt(2)
  }, SOON_MS)
}

subscribe(CONNECTING, stall)
