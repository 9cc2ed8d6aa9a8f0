import { describe, expect, it } from 'vitest'
import { redact } from '../../../src/core/secrets.ts'
import { secretUrl } from '../../../src/notify/lib/fields.ts'

describe('secretUrl', () => {
  it('hides the URL, and the token in its path or query where it stands alone', () => {
    const url = secretUrl().parse('https://chat.example/robot/send?access_token=0123456789abcdef01')
    expect(String(url)).toBe('<secret>')
    expect(url.reveal()).toContain('access_token=0123')
    secretUrl().parse('https://chat.example/hook/fedcba98-7654-3210')
    expect(redact('no 0123456789abcdef01, no fedcba98-7654-3210, but robot and send')).toBe('no <secret>, no <secret>, but robot and send')
  })

  it.each(['', 'chat.example/hook', 'ftp://chat.example/hook', 'https://'])('refuses %j without showing it', (text) => {
    const { error } = secretUrl().safeParse(text)
    expect(error?.issues.map(({ message }) => message)).toStrictEqual(['expected a URL such as https://host/path'])
  })
})
