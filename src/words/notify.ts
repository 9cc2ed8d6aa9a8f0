import type { Language } from './language.ts'

/** What a duration is counted in. */
export type TimeUnit = 's' | 'min' | 'h' | 'd'

/** The words of a message to a chat: a language that lacks one does not compile. */
export interface NotifyWords {
  readonly severities: Readonly<Record<'critical' | 'error' | 'warning' | 'info' | 'firing' | 'resolved', string>>
  readonly links: Readonly<Record<'source' | 'runbook' | 'dashboard' | 'silence' | 'alertmanager' | 'curlew', string>>
  readonly units: Readonly<Record<TimeUnit, string>>
  readonly colon: string
  readonly comma: string
  /** Between names. */
  readonly and: string
  readonly semicolon: string
  readonly diagnosis: string
  /** A layer of other failures whose layer is not known. */
  readonly otherLayer: string
  counts(firing: number, resolved: number): string
  /** Follows a list that was cut. */
  andOthers(count: number): string
  /** While it lasts: something is down, or an alert of another kind fires. */
  down(time: string, duration: string): string
  since(time: string, duration: string): string
  upAgain(duration: string): string
  over(duration: string): string
  /** Told when it is already past. */
  wasDown(duration: string): string
  hadFired(duration: string): string
  between(from: string, to: string): string
  now(value: string): string
  failsAgain(what: string): string
  cause(what: string): string
  lastRuns(count: number, marks: string): string
  answersNow(value: string): string
  explainedBy(root: string): string
  explains(count: number): string
  alike(count: number, layer: string, names: string): string
  total(alerts: number): string
  layers(counts: string): string
  fallback(channel: string): string
  truncated(count: number): string
  more(count: number): string
  ownTextFailed(detail: string): string
  /** The alert that always fires has not come for so long. */
  deadman(alertname: string, duration: string): { readonly summary: string, readonly description: string }
}

const plural = (count: number, one: string, several: string) => `${count} ${count === 1 ? one : several}`

export const NOTIFY_WORDS: Readonly<Record<Language, NotifyWords>> = {
  en: {
    severities: { critical: 'Critical', error: 'Error', warning: 'Warning', info: 'Info', firing: 'Firing', resolved: 'Resolved' },
    links: { source: 'Source', runbook: 'Runbook', dashboard: 'Dashboard', silence: 'Silence', alertmanager: 'Alertmanager', curlew: 'Curlew' },
    units: { s: 's', min: 'min', h: 'h', d: 'd' },
    colon: ': ',
    comma: ', ',
    and: ', ',
    semicolon: '; ',
    diagnosis: 'Diagnosis',
    otherLayer: 'other',
    counts: (firing, resolved) => [...firing > 0 ? [`${firing} firing`] : [], ...resolved > 0 ? [`${resolved} resolved`] : []].join(', '),
    andOthers: (count) => ` and ${plural(count, 'other', 'others')}`,
    down: (time, duration) => `down ${duration}, since ${time}`,
    since: (time, duration) => `since ${time}, ${duration} ago`,
    upAgain: (duration) => `up again after ${duration}`,
    over: (duration) => `over after ${duration}`,
    wasDown: (duration) => `was down ${duration}`,
    hadFired: (duration) => `fired for ${duration}`,
    between: (from, to) => `from ${from} to ${to}`,
    now: (value) => `now ${value}`,
    failsAgain: (what) => `but it fails again now: ${what}`,
    cause: (what) => `it was: ${what}`,
    lastRuns: (count, marks) => `last ${plural(count, 'run', 'runs')}: ${marks}`,
    answersNow: (value) => `answers now, in ${value}`,
    explainedBy: (root) => `Explained by ${root}: look there first`,
    explains: (count) => `Root cause: explains ${plural(count, 'other', 'others')}`,
    alike: (count, layer, names) => `${plural(count, 'other fails', 'others fail')} on ${layer} too: ${names}`,
    total: (alerts) => plural(alerts, 'alert', 'alerts'),
    layers: (counts) => `By layer: ${counts}`,
    fallback: (channel) => `Sent here because channel ${channel} could not deliver it.`,
    truncated: (count) => `${plural(count, 'more alert is', 'more alerts are')} left out by the sender, and may be firing`,
    more: (count) => `${count} more ${count === 1 ? 'follows' : 'follow'}`,
    ownTextFailed: (detail) => `The template of this route failed, so this is the built-in text: ${detail}`,
    deadman: (alertname, duration) => ({
      summary: `Nothing heard of ${alertname} for ${duration}: other alerts may not arrive either.`,
      description: `${alertname} fires always, and Alertmanager repeats it. Either Prometheus does not evaluate its rules, or Alertmanager does not send, or the way from there to Curlew is cut. Look in this order: is ${alertname} firing in Prometheus, is it in Alertmanager, what does the log of Alertmanager say about the webhook.`,
    }),
  },
  zh: {
    severities: { critical: '严重', error: '错误', warning: '警告', info: '提示', firing: '触发中', resolved: '已恢复' },
    links: { source: '来源', runbook: '处理手册', dashboard: '仪表盘', silence: '静默', alertmanager: 'Alertmanager', curlew: 'Curlew' },
    units: { s: '秒', min: '分钟', h: '小时', d: '天' },
    colon: '：',
    comma: '，',
    and: '、',
    semicolon: '；',
    diagnosis: '诊断',
    otherLayer: '其他',
    counts: (firing, resolved) => [...firing > 0 ? [`${firing} 条告警`] : [], ...resolved > 0 ? [`${resolved} 条恢复`] : []].join('，'),
    andOthers: (count) => ` 及另外 ${count} 个`,
    down: (time, duration) => `已中断 ${duration}，始于 ${time}`,
    since: (time, duration) => `始于 ${time}（${duration}前）`,
    upAgain: (duration) => `中断 ${duration}后恢复`,
    over: (duration) => `持续 ${duration}后恢复`,
    wasDown: (duration) => `曾中断 ${duration}`,
    hadFired: (duration) => `曾持续 ${duration}`,
    between: (from, to) => `${from} 至 ${to}`,
    now: (value) => `当前 ${value}`,
    failsAgain: (what) => `但现在再次失败：${what}`,
    cause: (what) => `当时：${what}`,
    lastRuns: (count, marks) => `最近 ${count} 次：${marks}`,
    answersNow: (value) => `现在可用，耗时 ${value}`,
    explainedBy: (root) => `由 ${root} 引起：请先检查它`,
    explains: (count) => `根因：另有 ${count} 个故障由此引起`,
    alike: (count, layer, names) => `另有 ${count} 个同样在${layer}层失败：${names}`,
    total: (alerts) => `共 ${alerts} 条`,
    layers: (counts) => `按层：${counts}`,
    fallback: (channel) => `渠道 ${channel} 无法送达，改由此处发送。`,
    truncated: (count) => `另有 ${count} 条告警被发送方省略，可能仍在触发`,
    more: (count) => `还有 ${count} 条待发送`,
    ownTextFailed: (detail) => `该路由的模板渲染失败，已改用内置文本：${detail}`,
    deadman: (alertname, duration) => ({
      summary: `已有 ${duration}没有收到 ${alertname}：其他告警可能也无法送达。`,
      description: `${alertname} 始终触发，并由 Alertmanager 重复发送。可能是 Prometheus 没有计算规则，或 Alertmanager 没有发送，或它到 Curlew 的通路中断。请依次检查：Prometheus 中 ${alertname} 是否触发，Alertmanager 中有没有它，Alertmanager 的日志对该 webhook 说了什么。`,
    }),
  },
}
