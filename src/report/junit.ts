import type { Reported } from './outcome.ts'

/** The report as JUnit XML: failed is a failure, unknown an error. */
export function junitReport(outcomes: readonly Reported[]): string {
  const count = (status: string) => outcomes.filter(({ result }) => result.status === status).length
  const seconds = outcomes.reduce((sum, { result }) => sum + result.ms, 0) / 1000
  const cases = outcomes.map(({ job, result, explainedBy }) => {
    const attributes = `classname="${escape(job.name)}" name="${escape(job.target)}" time="${(result.ms / 1000).toFixed(6)}"`
    if (result.status === 'ok') return `    <testcase ${attributes}/>`
    const { layer, reason, code, message } = result.failure
    const element = result.status === 'failed' ? 'failure' : 'error'
    const text = explainedBy === undefined ? message : `${message}; explained by ${explainedBy}`
    return `    <testcase ${attributes}>\n      <${element} type="${layer}/${reason}" message="${escape(`${code}: ${text}`)}"/>\n    </testcase>`
  })
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<testsuites>',
    `  <testsuite name="curlew" tests="${outcomes.length}" failures="${count('failed')}" errors="${count('unknown')}" skipped="0" time="${seconds.toFixed(6)}">`,
    ...cases,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n')
}

/** Text for an attribute; characters that XML 1.0 cannot hold are replaced. */
function escape(text: string): string {
  // eslint-disable-next-line no-control-regex -- the control characters are what has to go
  return text.toWellFormed().replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
    .replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
    .replace(/[\t\n\r]/g, (char) => `&#${char.charCodeAt(0)};`)
}
