import type { Request, Response } from 'express'
import { errorJson } from './api.ts'

export type Log = (level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>) => void

/** Answers with one sentence: as JSON under /api, else as text. */
export function refuse(request: Request, response: Response, status: number, sentence: string): void {
  response.status(status)
  if (request.path.startsWith('/api/')) response.json(errorJson(sentence))
  else response.type('text').send(`${sentence}\n`)
}
