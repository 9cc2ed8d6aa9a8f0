import express, { type Express, type NextFunction, type Request, type RequestHandler, type Response } from 'express'
import { createServer, type Server } from 'node:http'
import { Server as TlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { DiscoveryStatus } from '../core/discovery.ts'
import type { ProbeType } from '../core/probe.ts'
import { redact } from '../core/secrets.ts'
import type { Share } from '../core/shard.ts'
import type { Store } from '../core/store.ts'
import { diagnosisOf, listProbes, probeById, probeByName, type Answer } from './api.ts'
import { createGate } from './http-gate.ts'
import { createScrape, type Render } from './http-metrics.ts'
import { language } from './http-negotiate.ts'
import { refuse, type Log } from './http-refuse.ts'
import { createWebhook, routeOf, type Webhook } from './http-webhook.ts'
import { StartError, watchWebConfig, type WebConfigWatch } from './http-web-watch.ts'
import { PAGE_CSP, renderPage } from './page.ts'

export interface ServerDeps {
  readonly store: Store
  readonly types: readonly ProbeType[]
  readonly render: Render
  readonly share: () => Share
  /** Config loaded and scheduler running; never results. */
  readonly ready: () => boolean
  /** The config's web.public_status. */
  readonly publicStatus: () => boolean
  /** YAML of the loaded config, redacted. */
  readonly configText: () => string
  readonly reload: () => Promise<{ readonly ok: true } | { readonly ok: false, readonly errors: readonly string[] }>
  /** Undefined while the config has no section `notify`. */
  readonly webhook: () => Webhook | undefined
  /** Undefined while the config has nothing found in clusters. */
  readonly discovery?: () => DiscoveryStatus | undefined
  readonly webConfigFile: string | undefined
  readonly log: Log
}

export interface RunningServer {
  /** The port that was given, or the one that the system chose for 0. */
  readonly port: number
  /** Whether it speaks HTTPS. */
  readonly tls: boolean
  /** Accepts nothing more, lets answers that are under way end for at most so many milliseconds, then cuts them off. */
  close(withinMs: number): Promise<void>
}

const LIMITS = {
  headerBytes: 16 * 1024,
  headersMs: 10_000,
  /** Headers and body. Only the webhook wants one, of 10 MB at most. */
  requestMs: 15_000,
  /** A socket on which neither side gets a byte through. */
  idleMs: 30_000,
  /** Longer than the usual scrape interval of a minute, so that a scraper keeps its connection. */
  keepAliveMs: 90_000,
  handshakeMs: 10_000,
  connections: 512,
  /** One address alone must not keep the others, kubelet among them, from getting an answer. */
  connectionsOfOne: 128,
  bodyBytes: 1024,
  /** Shorter than idleMs, or the answer would find the connection closed. */
  reloadMs: 25_000,
} as const

const USUAL_CSP = "default-src 'none'; frame-ancestors 'none'"

/**
 * Serves /metrics, the API, the status page and the management paths. Rejects with a StartError when the web-config file is
 * bad (one line a mistake) or the address cannot be had. Whether it speaks HTTP or HTTPS is settled at the start.
 */
export async function startServer(deps: ServerDeps, listen: { readonly host: string | undefined, readonly port: number }): Promise<RunningServer> {
  const watch = deps.webConfigFile === undefined ? undefined : watchWebConfig(deps.webConfigFile, deps.log)
  const gate = createGate({ watch, listenHost: listen.host, publicStatus: deps.publicStatus, log: deps.log })
  let closing = false
  const app = createApp(deps, gate, () => closing)
  const server = createListener(app, watch)
  const sockets = new Set<Socket>()
  const perAddress = new Map<string, number>()
  server.on('connection', (socket) => {
    const from = socket.remoteAddress ?? ''
    const open = (perAddress.get(from) ?? 0) + 1
    if (open > LIMITS.connectionsOfOne) return socket.destroy()
    perAddress.set(from, open)
    sockets.add(socket)
    socket.once('close', () => {
      sockets.delete(socket)
      const left = (perAddress.get(from) ?? 1) - 1
      if (left > 0) perAddress.set(from, left)
      else perAddress.delete(from)
    })
  })

  try {
    await new Promise<void>((resolve, reject) => {
      const onError = (error: Error) => reject(listenError(error, listen))
      server.once('error', onError)
      server.listen({ port: listen.port, ...(listen.host === undefined ? {} : { host: listen.host }) }, () => {
        server.off('error', onError)
        resolve()
      })
    })
  } catch (error) {
    await gate.close()
    throw error
  }
  server.on('error', (error) => deps.log('error', 'the HTTP listener reports an error', { error: error.message }))
  const address = server.address()

  return {
    port: typeof address === 'object' && address !== null ? address.port : listen.port,
    tls: server instanceof TlsServer,
    async close(withinMs) {
      closing = true
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      // Connections become idle as their answers end; those without a request are idle already.
      const sweep = setInterval(() => server.closeIdleConnections(), 50)
      const cut = setTimeout(() => { for (const socket of sockets) socket.destroy() }, withinMs)
      await closed
      clearInterval(sweep)
      clearTimeout(cut)
      await gate.close()
    },
  }
}

function createListener(app: Express, watch: WebConfigWatch | undefined): Server {
  const options = {
    maxHeaderSize: LIMITS.headerBytes, headersTimeout: LIMITS.headersMs, requestTimeout: LIMITS.requestMs,
    keepAliveTimeout: LIMITS.keepAliveMs, connectionsCheckingInterval: 5_000,
  }
  let applied = watch?.current()?.tls
  if (!applied) return bounded(createServer(options, app))

  // Who may go on is decided with each request: there a person can be told why not, and kubelet can be let through.
  const server = new TlsServer({
    ...options, ...applied.context, handshakeTimeout: LIMITS.handshakeMs, requestCert: applied.clientAuth !== 'NoClientCert', rejectUnauthorized: false,
  }, app)
  server.prependListener('connection', () => {
    const tls = watch?.current()?.tls
    if (!tls || tls === applied) return
    applied = tls
    server.setSecureContext(tls.context)
    server.closeIdleConnections()
  })
  return bounded(server)
}

function bounded(server: Server): Server {
  server.maxConnections = LIMITS.connections
  server.setTimeout(LIMITS.idleMs)
  return server
}

function createApp(deps: ServerDeps, gate: ReturnType<typeof createGate>, closing: () => boolean): Express {
  const app = express()
  app.disable('x-powered-by').disable('etag').enable('case sensitive routing').enable('strict routing').set('query parser', 'simple')
  app.use((_request, response, next) => {
    response.set({
      'Cache-Control': 'no-store',
      'Content-Security-Policy': USUAL_CSP,
      'Cross-Origin-Resource-Policy': 'same-origin',
      'Referrer-Policy': 'no-referrer',
      'X-Content-Type-Options': 'nosniff',
      'X-Frame-Options': 'deny',
    })
    if (closing()) response.set('Connection', 'close')
    next()
  })

  // kubelet asks these without a login and must get its answer even when the web-config file is broken.
  app.route('/-/healthy').get((_request, response) => { response.type('text').send('Healthy\n') }).all(only('GET'))
  app.route('/-/ready').get((_request, response) => {
    if (deps.ready()) response.type('text').send('Ready\n')
    else response.status(503).type('text').send('Not ready: the config is not loaded or the scheduler does not run yet.\n')
  }).all(only('GET'))

  app.route('/webhook/alertmanager{/:route}{/}').post(
    (_request, response, next) => {
      response.once('finish', () => deps.webhook()?.answered(response.statusCode))
      next()
    },
    gate.enterHook((request) => deps.webhook()?.access(routeOf(request), request.headers.authorization) ?? 'allowed'),
    createWebhook(deps.webhook),
  ).all(only('POST'))

  app.use(gate.enter)
  app.use(noBody)
  const scrape = createScrape(deps.render, (message, fields) => deps.log('warn', message, fields))
  app.route('/metrics').get(scrape).all(only('GET'))

  app.route('/').get(gate.allow('read'), (request, response) => {
    const { lang } = request.query
    const chosen = language(typeof lang === 'string' ? lang : undefined, request.headers['accept-language'])
    // The web-config file may have set another one.
    if (response.get('Content-Security-Policy') === USUAL_CSP) response.set('Content-Security-Policy', PAGE_CSP)
    response.vary('Accept-Language')
    response.type('html').send(renderPage({ store: deps.store, query: request.query, language: chosen, ready: deps.ready(), share: deps.share(), now: Date.now(), discovery: deps.discovery?.() }))
  }).all(only('GET'))

  app.route('/config').get(gate.allow('read'), (_request, response) => { response.type('text').send(redact(deps.configText())) }).all(only('GET'))

  const api = (answer: (request: Request) => Answer): RequestHandler => (request, response) => {
    const { status, body } = answer(request)
    response.status(status).json(body)
  }
  app.route('/api/v1/probes').get(gate.allow('read'), api((request) => listProbes(deps.store, deps.types, deps.share(), request.query))).all(only('GET'))
  // What another Curlew that forwards alerts asks.
  app.route('/api/v1/diagnosis').get(gate.allow('read'), api((request) => diagnosisOf(deps.store, request.query))).all(only('GET'))
  app.route('/api/v1/probes/lookup').get(gate.allow('read'), api((request) => probeByName(deps.store, request.query))).all(only('GET'))
  app.route('/api/v1/probes/:id').get(gate.allow('read'), api((request) => probeById(deps.store, String(request.params['id'])))).all(only('GET'))

  app.route('/-/reload').post(gate.allow('operate'), createReload(deps, gate)).all(only('POST'))

  app.use((request, response) => { refuse(request, response, 404, 'There is nothing at this path.') })
  app.use((error: unknown, request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) return next(error)
    // express and its router mark what the client got wrong, such as a broken %-escape.
    const status = error instanceof Error && 'status' in error && error.status === 400 ? 400 : 500
    if (status === 500) deps.log('error', 'a request could not be answered', { path: request.path, error: error instanceof Error ? error.stack ?? error.message : String(error) })
    refuse(request, response, status, status === 400 ? 'The request cannot be read.' : 'An error inside Curlew: its log says more.')
  })
  return app
}

/** Reloads the config once at a time: who asks meanwhile gets the same answer. */
function createReload(deps: ServerDeps, gate: ReturnType<typeof createGate>): RequestHandler {
  let running: ReturnType<ServerDeps['reload']> | undefined
  return async (request, response) => {
    deps.log('info', 'reload asked for over HTTP', { by: gate.who(request) })
    running ??= deps.reload().finally(() => { running = undefined })
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<undefined>((resolve) => { timer = setTimeout(() => resolve(undefined), LIMITS.reloadMs) })
    const result = await Promise.race([running, late]).finally(() => clearTimeout(timer))
    if (!result) response.status(503).type('text').send('The reload is still under way: the log will say how it ended.\n')
    else if (result.ok) response.type('text').send('')
    else response.status(500).type('text').send(redact(result.errors.map((error) => `${error}\n`).join('')))
  }
}

/** No path but the webhook's wants a body; a small one is passed over. Comes after the login, so that nobody else's bytes are read. */
const noBody: RequestHandler = (request, response, next) => {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers
  if (encoding === undefined && Number(length) <= LIMITS.bodyBytes) return next()
  response.set('Connection', 'close')
  refuse(request, response, 413, 'No body is wanted here: send the request without one.')
}

function only(method: 'GET' | 'POST'): RequestHandler {
  return (request, response) => {
    response.set('Allow', method === 'GET' ? 'GET, HEAD' : method)
    refuse(request, response, 405, `This endpoint requires a ${method} request.`)
  }
}

function listenError(error: Error, { host, port }: { readonly host: string | undefined, readonly port: number }): Error {
  const code = 'code' in error ? String(error.code) : ''
  const address = `${host ?? ''}:${port}`
  const why = code === 'EADDRINUSE' ? 'another process listens there' : code === 'EACCES' ? 'ports below 1024 need a privilege' : code === 'EADDRNOTAVAIL' ? 'this machine does not have the address' : error.message
  return new StartError(`cannot listen on ${address}: ${why}`, { cause: error })
}
