import { afterEach, expect, it } from 'vitest'
import { fakeDingtalk } from '../notify/fakes/dingtalk.ts'
import { fakeFeishu } from '../notify/fakes/feishu.ts'
import { fakeWecom } from '../notify/fakes/wecom.ts'
import { startAlertmanager } from '../support/alertmanager.ts'
import { serveCurlew } from '../support/curlew.ts'
import { textOf, TOKEN } from '../support/notify.ts'
import { createOwner } from '../support/owner.ts'
import { eventually, freePort } from '../support/process.ts'
import { startPrometheus } from '../support/prometheus-server.ts'
import { startRedis, stopRedisServers } from '../support/redis-server.ts'
import { quickRules } from '../support/rules.ts'

const SECRET = 'SEC0123456789abcdef'
const owner = createOwner()

afterEach(async () => {
  await owner.end()
  await stopRedisServers()
})

it('from a Redis that dies to DingTalk, WeCom and Feishu with the diagnosis, and back', { timeout: 45_000 }, async () => {
  const { path, write } = owner.place()
  const [dingtalk, wecom, feishu] = [await owner.opened(fakeDingtalk({ secret: SECRET })), await owner.opened(fakeWecom()), await owner.opened(fakeFeishu({ secret: SECRET }))]
  const redis = await startRedis()
  const port = await freePort()
  await owner.started(serveCurlew(['-c', write('curlew.yaml', {
    notify: {
      token: TOKEN, allow_private_destinations: true,
      channels: [
        { name: 'ding', type: 'dingtalk', url: `${dingtalk.url}?access_token=fake-token-of-dingtalk`, secret: SECRET },
        { name: 'wecom', type: 'wecom', url: `${wecom.url}?key=fake-key-of-wecom` },
        { name: 'feishu', type: 'feishu', url: feishu.url, secret: SECRET },
      ],
      routes: [{ channels: ['ding', 'wecom'], lang: 'zh', timezone: 'Asia/Shanghai', continue: true }, { channel: 'feishu' }],
    },
    probes: [{ name: 'cache', type: 'redis', target: `127.0.0.1:${redis.port}`, every: '200ms', timeout: '150ms' }],
  }), '--web.listen-address', `127.0.0.1:${port}`], { cwd: path }))
  const alertmanager = await owner.started(startAlertmanager(`
route: { receiver: curlew, group_by: [alertname], group_wait: 100ms, group_interval: 500ms, repeat_interval: 4h }
receivers: [{ name: curlew, webhook_configs: [{ url: "http://127.0.0.1:${port}/webhook/alertmanager", send_resolved: true, http_config: { authorization: { credentials: ${TOKEN} } } }] }]
`))
  const prometheus = await startPrometheus(owner, { targets: [`127.0.0.1:${port}`], rules: quickRules(({ name }) => name === 'DependencyDown'), alertmanager: alertmanager.url })
  await eventually(async () => (await prometheus.query('probe_healthy == 1')).length === 1, 15_000, 'a healthy target')

  await redis.process.stop('SIGKILL')
  for (const [fake, sentence] of [[dingtalk, '连接被拒绝'], [wecom, '连接被拒绝'], [feishu, 'connect refused']] as const) {
    await eventually(() => textOf(fake).includes(sentence), 15_000, sentence)
    expect(textOf(fake)).toMatch(/cache 127(?:\\\\)?\.0/)
    expect(textOf(fake)).toContain('✗✗')
  }
  expect(textOf(dingtalk)).toContain('诊断')
  expect(textOf(feishu)).toContain('Diagnosis')

  await startRedis({ port: redis.port })
  await eventually(() => /恢复/.test(textOf(dingtalk)) && /恢复/.test(textOf(wecom)) && /[Rr]esolved/.test(textOf(feishu)), 20_000, 'the end of it')
  // One message each: none was told twice.
  expect([dingtalk.accepted(), wecom.accepted(), feishu.accepted()]).toEqual([2, 2, 2])
})
