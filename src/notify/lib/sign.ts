import { createHmac } from 'node:crypto'

/** HMAC-SHA256 in base64, as DingTalk and Feishu sign. */
export function hmacSha256(key: string, message: string): string {
  return createHmac('sha256', key).update(message).digest('base64')
}
