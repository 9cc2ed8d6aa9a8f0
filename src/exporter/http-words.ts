import type { Status } from '../core/result.ts'
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
  belowThreshold(count: number, threshold: number): string
  recovering(count: number, threshold: number): string
  lastKnown(healthy: boolean): string
  page(page: number, pages: number): string
  ago(text: string): string
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
    belowThreshold: (count, threshold) => `counts as healthy until ${threshold} failures in a row (${count} so far)`,
    recovering: (count, threshold) => `counts as unhealthy until ${threshold} good runs in a row (${count} so far)`,
    lastKnown: (healthy) => (healthy ? 'was healthy when last known' : 'was unhealthy when last known'),
    page: (page, pages) => `Page ${page} of ${pages}`,
    ago: (text) => `${text} ago`,
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
    belowThreshold: (count, threshold) => `连续失败 ${threshold} 次之前仍视为健康（目前 ${count} 次）`,
    recovering: (count, threshold) => `连续成功 ${threshold} 次之前仍视为不健康（目前 ${count} 次）`,
    lastKnown: (healthy) => (healthy ? '最近一次已知状态为健康' : '最近一次已知状态为不健康'),
    page: (page, pages) => `第 ${page} 页，共 ${pages} 页`,
    ago: (text) => `${text}前`,
  },
}
