import type { ChannelType } from '../channel.ts'
import { dingtalk } from './dingtalk.ts'
import { discord } from './discord.ts'
import { feishu } from './feishu.ts'
import { mattermost } from './mattermost.ts'
import { slack } from './slack.ts'
import { teams } from './teams.ts'
import { telegram } from './telegram.ts'
import { webhook } from './webhook.ts'
import { wecom } from './wecom.ts'

/** Every channel type, in the order of the alphabet. A new one is its file, its test and its line here. */
export const channelTypes: readonly ChannelType[] = [
  dingtalk,
  discord,
  feishu,
  mattermost,
  slack,
  teams,
  telegram,
  webhook,
  wecom,
]
