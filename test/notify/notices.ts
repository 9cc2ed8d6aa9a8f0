import type { Block, Notice } from '../../src/notify/notice.ts'

/** A block as an alert makes it. */
export const block = (heading: string, ...texts: string[]): Block => ({
  tone: 'critical',
  lines: [[{ kind: 'text', text: heading, style: 'bold' }], ...texts.map((text) => [{ kind: 'text', text } as const])],
})

export const notice = (changes: Partial<Notice> = {}): Notice => ({
  tone: 'critical', title: 'firing: 1', lead: [], blocks: [block('RedisDown', 'refused')], tail: [], links: [], mentions: [], everyone: false, ...changes,
})

/** A notice that uses everything, with the text in every place that data reaches, and the URL in every link. */
export const everywhere = (text: string, url = 'https://good.example/a?b=c&d=e', ids: Readonly<Record<string, string>> = {}): Notice => notice({
  title: `title ${text}`,
  lead: [[{ kind: 'text', text: `lead ${text}` }]],
  blocks: [{
    tone: 'warning',
    lines: [
      [{ kind: 'text', text: `heading ${text}`, style: 'bold' }],
      [{ kind: 'text', text: 'label: ', style: 'muted' }, { kind: 'text', text }, { kind: 'text', text: ` ${text} ` }],
      [{ kind: 'text', text, style: 'code' }, { kind: 'text', text: ', ' }, { kind: 'text', text, style: 'muted' }],
      [{ kind: 'text', text }],
      [{ kind: 'link', text: `link ${text}`, url }],
    ],
  }],
  tail: [[{ kind: 'text', text: `tail ${text}` }]],
  links: [{ text: `button ${text}`, url }],
  mentions: [{ name: `name ${text}`, ids }],
})

/** So many alerts of CJK, emoji and marks, each with a number of its own such as `#0007#`. */
export const manyAlerts = (count: number): Notice => notice({
  title: '告警：Redis 无法连接 🔥',
  lead: [[{ kind: 'text', text: `共 ${count} 条告警` }]],
  blocks: Array.from({ length: count }, (_, index) => ({
    tone: index % 3 === 0 ? 'critical' : 'resolved',
    lines: [
      [{ kind: 'text', text: `Redis无法连接 ${numberOf(index)}`, style: 'bold' }, { kind: 'text', text: ` <${index}>` }],
      [{ kind: 'text', text: '实例: ', style: 'muted' }, { kind: 'text', text: `redis-${index}.example.org:6379`, style: 'code' }],
      [{ kind: 'text', text: `连接被拒绝，已持续 ${index} 分钟 👩‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿 e\u0301 *_[](){}` }],
      [{ kind: 'link', text: '查看', url: `https://prometheus.example.org/graph?g0.expr=up%7Bi%3D%22${index}%22%7D` }],
    ],
  })),
  tail: [[{ kind: 'text', text: '还有 37 条' }]],
  links: [{ text: '静默', url: 'https://alertmanager.example.org/#/silences/new' }],
})

/** What `manyAlerts` numbers an alert with: no markup in any dialect, and no beginning of another. */
export const numberOf = (index: number): string => `N${String(index).padStart(4, '0')}N`
