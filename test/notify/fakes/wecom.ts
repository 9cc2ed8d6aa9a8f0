import { z } from 'zod'
import { fakeService, parsed, type Fake, type FakeOptions, type FakeRequest, type Reply } from './fake.ts'

const content = (most: number) => z.object({ content: z.string().refine((text) => Buffer.byteLength(text) <= most, `exceed max length ${most}`) })
const messages = {
  markdown: z.object({ markdown: content(4_096) }),
  markdown_v2: z.object({ markdown_v2: content(4_096) }),
  text: z.object({ text: content(2_048).extend({ mentioned_list: z.array(z.string()).optional(), mentioned_mobile_list: z.array(z.string()).optional() }) }),
}

const refusal = (errcode: number, errmsg: string): Reply => ({ status: 200, body: { errcode, errmsg } })

/** WeCom's group robot: key, types, sizes in bytes, no escapes; what it refuses counts for its rate as well. */
export function fakeWecom({ key = 'fake-key-of-wecom', ...options }: FakeOptions & { readonly key?: string } = {}): Promise<Fake> {
  return fakeService({
    path: '/cgi-bin/webhook/send',
    rates: [{ messages: 20, perMs: 60_000 }],
    counts: 'all',
    tooFast: refusal(45_009, 'api freq out of limit, hint: [1600000000_1_abc], from ip: 127.0.0.1, more info at https://open.work.weixin.qq.com/devtool/query?e=45009'),
    taken: { status: 200, body: { errcode: 0, errmsg: 'ok' } },
    refuse: (request) => refuse(request, key),
  }, options)
}

function refuse({ url, text }: FakeRequest, key: string): Reply | undefined {
  if (url.searchParams.get('key') !== key) return refusal(93_000, 'invalid webhook url, hint: [1600000000_2_abc], from ip: 127.0.0.1')
  if (/\\u[\da-f]{4}/i.test(text)) return refusal(40_033, 'invalid charset')
  const type = z.object({ msgtype: z.enum(['markdown', 'markdown_v2', 'text']) }).safeParse(parsed(text)).data?.msgtype
  if (type === undefined) return refusal(40_008, 'invalid message type')
  const { error } = messages[type].safeParse(parsed(text))
  if (!error) return undefined
  const [issue] = error.issues
  return issue?.message.startsWith('exceed') ? refusal(40_058, `${type}.content ${issue.message}. invalid Request Parameter, hint: [1600000000_3_abc], from ip: 127.0.0.1`) : refusal(44_004, 'empty content')
}
