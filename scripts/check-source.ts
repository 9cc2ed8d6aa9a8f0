// Part of `npm run lint`: the rules of source-rules.ts on every TypeScript file of the project.
import { globSync, readFileSync } from 'node:fs'
import { probeTypes } from '../src/probes/index.ts'
import { checkSource } from './source-rules.ts'

const root = new URL('../', import.meta.url)
const files = globSync('{src,test,scripts,bench}/**/*.ts', { cwd: root, exclude: ['test/lint/fixtures/**'] }).sort()
const types = probeTypes.map(({ type }) => type)
const problems = files.flatMap((path) => checkSource({ path, text: readFileSync(new URL(path, root), 'utf8') }, types))

for (const { path, line, column, rule, message } of problems) console.error(`${path}:${line}:${column}: ${message} (${rule})`)
if (problems.length > 0) process.exitCode = 1
else console.log(`${files.length} files keep the rules of scripts/source-rules.ts.`)
