import { posix } from 'node:path'
import { parseSync, Visitor } from 'rolldown/utils'

/** Which rooms of src/ (a folder, or a file beside them) may import which; `room/file.ts` allows that file alone. */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  'log.ts': ['core'],
  'children.ts': ['core'],
  'round.ts': ['core'],
  'each.ts': ['core', 'probes/lib/resolve.ts'],
  'shards.ts': ['core', 'kubernetes'],
  'replica.ts': ['core', 'kubernetes', 'log.ts'],
  'place.ts': ['core', 'kubernetes', 'log.ts', 'replica.ts', 'shards.ts'],
  'job-set.ts': ['core', 'shards.ts'],
  'checked.ts': ['core', 'config', 'exporter/families.ts', 'probes/index.ts'],
  words: ['core'],
  kubernetes: ['core', 'children.ts', 'probes/lib/resolve.ts'],
  probes: ['core', 'children.ts', 'kubernetes'],
  // Both ends speak the same.
  mesh: ['core', 'probes/lib/mesh-wire.ts'],
  report: ['core', 'words'],
  discover: ['core', 'kubernetes'],
  // The tools of the probes, by name: a walk looks at the layers below them with what they look with.
  diagnose: [
    'core', 'words', 'probes/lib/inner.ts', 'probes/lib/resolve.ts', 'probes/lib/resolv-conf.ts', 'probes/lib/dns-client.ts', 'probes/lib/tls.ts', 'probes/lib/tls-gauges.ts',
    'probes/lib/icmp-backend.ts', 'probes/lib/icmp-codes.ts', 'probes/lib/icmp-verdict.ts', 'probes/lib/traceroute-codes.ts', 'probes/lib/traceroute-memory.ts', 'probes/lib/traceroute-route.ts',
  ],
  exporter: ['core', 'words', 'log.ts'],
  notify: ['core', 'words', 'children.ts', 'probes/lib/proxy-options.ts', 'probes/lib/http-proxy-rules.ts', 'probes/lib/tls-context.ts'],
  alerts: ['core'],
  config: ['core', 'probes/index.ts', 'notify/options.ts', 'notify/rules.ts', 'discover/kubernetes/options.ts', 'discover/kubernetes/template.ts', 'kubernetes/options.ts', 'mesh/options.ts'],
  'discovering.ts': ['core', 'words', 'config', 'probes/index.ts', 'kubernetes', 'discover'],
  'runtime.ts': ['core', 'words', 'checked.ts', 'discovering.ts', 'children.ts', 'log.ts', 'shards.ts', 'job-set.ts', 'place.ts', 'config', 'probes/index.ts', 'each.ts', 'kubernetes', 'discover', 'diagnose', 'exporter', 'mesh', 'notify'],
  commands: ['core', 'words', 'log.ts', 'alerts', 'config', 'notify', 'probes/index.ts', 'report', 'discover', 'diagnose', 'exporter/server.ts', 'exporter/web-config.ts', 'each.ts', 'round.ts', 'checked.ts', 'discovering.ts', 'runtime.ts'],
  'cli.ts': ['commands', 'core'],
}

export interface SourceFile {
  /** Relative to the project, with slashes. */
  readonly path: string
  readonly text: string
}

export interface Problem {
  readonly path: string
  /** Both count from 1. */
  readonly line: number
  readonly column: number
  readonly rule: 'import-direction' | 'process-exit' | 'type-branch' | 'unexplained-as' | 'skipped-test' | 'syntax'
  readonly message: string
}

/** Checks the rules that a general linter does not know. `probeTypes` are the names of the registered probe types. */
export function checkSource(file: SourceFile, probeTypes: readonly string[]): Problem[] {
  const problems: Problem[] = []
  const report = (offset: number, rule: Problem['rule'], message: string) => {
    const before = file.text.slice(0, offset).split('\n')
    problems.push({ path: file.path, line: before.length, column: (before.at(-1)?.length ?? 0) + 1, rule, message })
  }
  const { program, errors } = parseSync(file.path, file.text, { lang: 'ts', sourceType: 'module' })
  for (const error of errors) report(error.labels[0]?.start ?? 0, 'syntax', error.message)

  const source = (start: number, end: number) => file.text.slice(start, end)
  const imported = (specifier: { readonly start: number, readonly value?: unknown } | null) => {
    const message = typeof specifier?.value === 'string' ? forbiddenImport(file.path, specifier.value) : undefined
    if (specifier && message !== undefined) report(specifier.start, 'import-direction', message)
  }
  const compared = (offset: number, side: string, literal: { readonly type: string, readonly value?: unknown }) => {
    if (!file.path.startsWith('src/') || literal.type !== 'Literal' || typeof literal.value !== 'string') return
    if (!probeTypes.includes(literal.value) || !/type$/i.test(side) || file.path === `src/probes/${literal.value}.ts`) return
    report(offset, 'type-branch', `only src/probes/${literal.value}.ts may name the type ${literal.value}: let its declaration say what differs`)
  }

  new Visitor({
    ImportDeclaration: (node) => imported(node.source),
    ExportAllDeclaration: (node) => imported(node.source),
    ExportNamedDeclaration: (node) => imported(node.source),
    ImportExpression: (node) => imported(node.source.type === 'Literal' ? node.source : null),
    TSImportType: (node) => imported(node.source),
    MemberExpression: (node) => {
      const name = source(node.start, node.end)
      if (name === 'process.exit' && file.path.startsWith('src/') && file.path !== 'src/cli.ts') {
        report(node.start, 'process-exit', 'only src/cli.ts ends the process: return or throw instead')
      }
      if (file.path.startsWith('test/') && /^(?:it|test|describe|suite)\b.*\.(?:skip|skipIf|runIf|only|todo)$/s.test(name)) {
        report(node.start, 'skipped-test', 'a test that does not run proves nothing: make it run or delete it')
      }
    },
    BinaryExpression: (node) => {
      if (!/^[!=]==?$/.test(node.operator)) return
      compared(node.start, source(node.left.start, node.left.end), node.right)
      compared(node.start, source(node.right.start, node.right.end), node.left)
    },
    SwitchStatement: (node) => {
      for (const { test } of node.cases) if (test) compared(test.start, source(node.discriminant.start, node.discriminant.end), test)
    },
    TSAsExpression: (node) => {
      if (!file.path.startsWith('src/') || source(node.typeAnnotation.start, node.typeAnnotation.end) === 'const') return
      const lines = file.text.split('\n')
      const first = file.text.slice(0, node.start).split('\n').length
      const last = file.text.slice(0, node.end).split('\n').length
      if (lines.slice(Math.max(0, first - 2), last).some((line) => /(?:\/\/|\*) .*\bsafe: /.test(line))) return
      report(node.start, 'unexplained-as', 'say on this line or the one above what guarantees it: // safe: …')
    },
  }).visit(program)
  return problems.sort((a, b) => a.line - b.line || a.column - b.column)
}

/** What is wrong with this import, if anything. Type imports count: a type is a dependency too. */
function forbiddenImport(path: string, specifier: string): string | undefined {
  if (!path.startsWith('src/') || !specifier.startsWith('.')) return undefined
  const from = path.slice('src/'.length)
  const to = posix.relative('src', posix.join(posix.dirname(path), specifier))
  if (to.startsWith('..')) return `src/ imports nothing outside itself, not ${specifier}`

  const room = roomOf(from)
  if (room === roomOf(to)) {
    if (room !== 'probes' || from === 'probes/index.ts' || to.startsWith('probes/lib/')) return undefined
    return `a probe type imports no other one, not ${to}: what they share stands in probes/lib`
  }
  const allowed = MAY_IMPORT[room]
  if (!allowed) return `src/${room} is not in the table of scripts/source-rules.ts: say what it may import`
  if (allowed.includes(to) || allowed.includes(roomOf(to))) return undefined
  return `${room} may import ${allowed.length > 0 ? allowed.join(', ') : 'nothing of ours'}, not ${to}`
}

function roomOf(path: string): string {
  return path.split('/')[0] ?? path
}
