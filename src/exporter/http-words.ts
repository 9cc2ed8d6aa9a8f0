import type { DiscoveryLeftOut } from '../core/discovery.ts'
import type { Status } from '../core/result.ts'
import { LEFT_OUT } from '../words/discovery.ts'
import type { Language } from '../words/language.ts'

/** The status page's own words: a language that lacks one does not compile. */
export interface PageWords {
  readonly htmlLang: string
  readonly title: string
  readonly status: Readonly<Record<Status | 'none', string>>
  readonly columns: Readonly<Record<'state' | 'probe' | 'target' | 'where' | 'message' | 'since' | 'last' | 'duration' | 'explained', string>>
  readonly all: string
  readonly filter: string
  readonly caption: string
  readonly empty: string
  readonly nothingMatches: string
  readonly notReady: string
  readonly standby: string
  readonly holder: string
  readonly noHolder: string
  readonly standbyEmpty: string
  readonly pages: string
  readonly previous: string
  readonly next: string
  readonly refreshes: string
  readonly refreshOff: string
  readonly refreshOn: string
  readonly rootCause: string
  readonly pending: string
  readonly overdue: string
  readonly asOf: string
  readonly otherLanguage: string
  /** Of what is found in clusters. */
  readonly discovery: Readonly<Record<'title' | 'cluster' | 'source' | 'targets' | 'state' | 'upToDate' | 'pending' | 'refused' | 'object' | 'problem', string>>
  /** `what` the API will not list, which a source does without. */
  readonly leftOut: (source: string, leftOut: Pick<DiscoveryLeftOut, 'what' | 'trouble'>) => string
  belowThreshold(count: number, threshold: number): string
  recovering(count: number, threshold: number): string
  lastKnown(healthy: boolean): string
  /** `shard` counts from 1. */
  shard(shard: number, shards: number, owned: number, expected: number): string
  page(page: number, pages: number): string
  ago(text: string): string
  /** Why a list cannot be brought up to date, and since so long: the API is at fault only for what it is. */
  outdated(text: string, trouble: string): string
  /** What was listed before goes on. */
  stale: string
  /** It never was listed. */
  never: string
  more(count: number): string
}

export const PAGE_WORDS: Readonly<Record<Language, PageWords>> = {
  en: {
    htmlLang: 'en',
    title: 'Curlew status',
    status: { failed: 'failed', unknown: 'unknown', none: 'not run yet', ok: 'ok' },
    columns: { state: 'State', probe: 'Probe', target: 'Target', where: 'Layer / reason', message: 'Message', since: 'Since', last: 'Last run', duration: 'Duration', explained: 'Explained by' },
    all: 'all',
    filter: 'Show',
    caption: 'Probes, failing ones first',
    empty: 'No probe is configured.',
    nothingMatches: 'No probe is in this state.',
    notReady: 'Curlew is not ready: the config is not loaded or the scheduler does not run yet.',
    standby: 'Standby: this replica probes nothing.',
    holder: 'Active is',
    noHolder: 'It is not known which replica is active.',
    standbyEmpty: 'The results are at the active replica.',
    pages: 'Pages',
    previous: 'Previous',
    next: 'Next',
    refreshes: 'This page reloads every 15 s.',
    refreshOff: 'Stop',
    refreshOn: 'Reload every 15 s',
    rootCause: 'root cause',
    pending: 'asking its dependencies',
    overdue: 'overdue',
    asOf: 'As of',
    otherLanguage: '中文',
    discovery: { title: 'Discovery', cluster: 'Cluster', source: 'Source', targets: 'Targets', state: 'State', upToDate: 'up to date', pending: 'not listed yet', refused: 'Not probed as asked', object: 'Object', problem: 'Why' },
    leftOut: (source, leftOut) => `${source}: ${LEFT_OUT.en(leftOut)}`,
    belowThreshold: (count, threshold) => `counts as healthy until ${threshold} failures in a row (${count} so far)`,
    recovering: (count, threshold) => `counts as unhealthy until ${threshold} good runs in a row (${count} so far)`,
    lastKnown: (healthy) => (healthy ? 'was healthy when last known' : 'was unhealthy when last known'),
    shard: (shard, shards, owned, expected) => `Shard ${shard} of ${shards}: ${owned} of ${expected} targets`,
    page: (page, pages) => `Page ${page} of ${pages}`,
    ago: (text) => `${text} ago`,
    outdated: (text, trouble) => (trouble === 'forbidden' ? `Curlew's role has lacked a right for ${text}` : trouble === 'not_found' ? `the API has not had what is looked at for ${text}` : `the API has not answered as it should for ${text}`),
    stale: '; what was listed before stays',
    never: '; nothing is known yet',
    more: (count) => `and ${count} more`,
  },
  zh: {
    htmlLang: 'zh-CN',
    title: 'Curlew 状态',
    status: { failed: '失败', unknown: '未知', none: '尚未运行', ok: '正常' },
    columns: { state: '状态', probe: '探测', target: '目标', where: '层 / 原因', message: '说明', since: '开始于', last: '上次运行', duration: '耗时', explained: '根源' },
    all: '全部',
    filter: '显示',
    caption: '探测列表，失败的在前',
    empty: '尚未配置任何探测。',
    nothingMatches: '没有处于该状态的探测。',
    notReady: 'Curlew 尚未就绪：配置未加载或调度器未运行。',
    standby: '待命：本副本不执行探测。',
    holder: '当前活动副本：',
    noHolder: '尚不清楚哪个副本处于活动状态。',
    standbyEmpty: '结果在活动副本上。',
    pages: '分页',
    previous: '上一页',
    next: '下一页',
    refreshes: '本页每 15 秒刷新一次。',
    refreshOff: '停止',
    refreshOn: '每 15 秒刷新',
    rootCause: '根本原因',
    pending: '正在询问其依赖',
    overdue: '已逾期',
    asOf: '截至',
    otherLanguage: 'English',
    discovery: { title: '自动发现', cluster: '集群', source: '来源', targets: '目标数', state: '状态', upToDate: '最新', pending: '尚未列出', refused: '未按要求探测', object: '对象', problem: '原因' },
    leftOut: (source, leftOut) => `${source}：${LEFT_OUT.zh(leftOut)}`,
    belowThreshold: (count, threshold) => `连续失败 ${threshold} 次之前仍视为健康（目前 ${count} 次）`,
    recovering: (count, threshold) => `连续成功 ${threshold} 次之前仍视为不健康（目前 ${count} 次）`,
    lastKnown: (healthy) => (healthy ? '最近一次已知状态为健康' : '最近一次已知状态为不健康'),
    shard: (shard, shards, owned, expected) => `第 ${shard} 个分片，共 ${shards} 个：${expected} 个目标中的 ${owned} 个`,
    page: (page, pages) => `第 ${page} 页，共 ${pages} 页`,
    ago: (text) => `${text}前`,
    outdated: (text, trouble) => (trouble === 'forbidden' ? `Curlew 的角色缺少权限已有 ${text}` : trouble === 'not_found' ? `API 中没有所要查看的资源，已有 ${text}` : `API 已有 ${text} 未正常应答`),
    stale: '；沿用此前列出的内容',
    never: '；尚无任何列表',
    more: (count) => `另有 ${count} 项`,
  },
}
