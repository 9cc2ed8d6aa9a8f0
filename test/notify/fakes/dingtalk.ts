import { createHmac } from 'node:crypto'
import { z } from 'zod'
import { fakeService, parsed, type Fake, type FakeOptions, type FakeRequest, type Reply } from './fake.ts'

const link = z.object({ title: z.string().min(1), actionURL: z.string().min(1) })
const messages = z.discriminatedUnion('msgtype', [
  z.object({ msgtype: z.literal('text'), text: z.object({ content: z.string().min(1) }) }),
  z.object({ msgtype: z.literal('markdown'), markdown: z.object({ title: z.string().min(1), text: z.string().min(1) }) }),
  z.object({ msgtype: z.literal('actionCard'), actionCard: z.object({ title: z.string().min(1), text: z.string().min(1), singleURL: z.string().optional(), btns: z.array(link).optional() }) }),
])
const at = z.object({ at: z.object({ atMobiles: z.array(z.string()).default([]), atUserIds: z.array(z.string()).default([]), isAtAll: z.boolean().default(false) }).prefault({}) })

const HOUR_MS = 3_600_000

export interface DingtalkOptions extends FakeOptions {
  readonly token?: string
  readonly secret?: string
  readonly keywords?: readonly string[]
}

const refusal = (errcode: number, errmsg: string): Reply => ({ status: 200, body: { errcode, errmsg } })

/** DingTalk's custom robot: token, signature within an hour, keywords, size, types, and people who are called but not in the text. */
export function fakeDingtalk({ token = 'fake-token-of-dingtalk', secret, keywords = [], ...options }: DingtalkOptions = {}): Promise<Fake> {
  return fakeService({
    path: '/robot/send',
    rates: [{ messages: 20, perMs: 60_000 }],
    counts: 'taken',
    penaltyMs: 600_000,
    tooFast: refusal(130_101, 'send too fast, exceed 20 times per minute'),
    taken: { status: 200, body: { errcode: 0, errmsg: 'ok' } },
    refuse: (request) => refuse(request, token, secret, keywords),
  }, options)
}

function refuse({ url, headers, text }: FakeRequest, token: string, secret: string | undefined, keywords: readonly string[]): Reply | undefined {
  if (!headers['content-type']?.startsWith('application/json')) return refusal(43_004, 'require POST with Content-Type application/json')
  const given = url.searchParams.get('access_token')
  if (given === null) return refusal(40_035, '缺少参数 access_token')
  if (given !== token) return refusal(300_005, 'token is not exist')
  if (secret !== undefined) {
    const timestamp = url.searchParams.get('timestamp') ?? ''
    if (!/^\d{13}$/.test(timestamp) || Math.abs(Date.now() - Number(timestamp)) > HOUR_MS) return refusal(310_000, 'invalid timestamp, more: [https://ding-doc.dingtalk.com]')
    if (url.searchParams.get('sign') !== createHmac('sha256', secret).update(`${timestamp}\n${secret}`).digest('base64')) return refusal(310_000, 'description:机器人发送签名不匹配;solution:请确认签名和生成签名的时间戳必须都放在调用的网址中;')
  }
  if (Buffer.byteLength(text) > 20_000) return refusal(460_101, 'message too long, exceed 20000 bytes')
  const message = messages.safeParse(parsed(text)).data
  if (!message) return refusal(400_105, 'unsupported msgtype')
  const shown = JSON.stringify(message)
  if (keywords.length > 0 && !keywords.some((keyword) => shown.includes(keyword))) return refusal(310_000, `keywords not in content, more: [${keywords.join()}]`)
  const called = at.parse(parsed(text)).at
  // The service takes such a message and calls nobody: a mistake that only people would notice, so this one refuses it.
  const uncalled = [...called.atMobiles, ...called.atUserIds].find((id) => !shown.includes(`@${id}`))
  return uncalled === undefined ? undefined : refusal(430_104, `@${uncalled} is not in the text`)
}
