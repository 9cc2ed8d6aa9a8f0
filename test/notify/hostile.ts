/** Label values that try to be something: mentions, links and markup of every dialect, and characters that break texts. */
export const HOSTILE: readonly string[] = [
  '@everyone', '@here', '@channel', '@all', '@所有人', '@13800000000', '@user123', '@room',
  '<!here>', '<!channel>', '<!everyone>', '<!subteam^S123>', '<@U123>', '<@123456789012345678>', '<@!123456789012345678>', '<@&123456789012345678>', '<#C123>', '<@all>', '<@wangqing>',
  '<at id=all></at>', '<at id="all"></at>', '<at user_id="all">x</at>', '<at>Ann</at>', '<at id=ou_1></at>', '&lt;at id=all&gt;&lt;/at&gt;',
  '[x](http://evil.example/)', '![x](http://evil.example/i.png)', '[x]: http://evil.example/', '<http://evil.example/|x>', '<http://evil.example/>', '[x][1]', '](http://evil.example/)', '\\](http://evil.example/)', '\\',
  '**b**', '*b*', '__u__', '_i_', '~~s~~', '~s~', '`c`', '```c```', '``', '||spoiler||', '***', '----', '# heading', '#heading', '> quote', '- item', '+ item', '1. item', '1) item', '| a | b |', '\\*b\\*', '=====', ':smile:', '$x$', '!x',
  '<font color="warning">x</font>', '<b>x</b>', '<a href="http://evil.example/">x</a>', '<script>alert(1)</script>', '<br>', '<!-- x -->', '</font>', '</text_tag>', '<u>x</u>', '<img src=x>', '<person id="x"></person>',
  '&lt;', '&lt;b&gt;', '&amp;', '&amp;lt;', '&#60;b&#62;', '&#x3c;', '&', '<', '>', '"', "'", '%3Cat%3E', '\\u003c!here\\u003e', '{{ .Labels }}', '${x}',
  'a\nb', 'a\r\n\r\n# b', 'a\u2028b', 'a\tb', 'nul\u0000nul', 'bell\u0007', 'esc\u001B[31m',
  'rtl\u202Egnp.exe', 'iso\u2066x\u2069', 'zero\u200Bwidth', '@\u200Beveryone', '\uFEFFbom',
  'lone\uD83D', '\uDE00lone', '😀', '👩‍👩‍👧‍👦', '🏴󠁧󠁢󠁥󠁮󠁧󠁿', 'e\u0301', '语言', '\u{10FFFF}',
]

/** URLs that try to lead elsewhere than to good.example, or to be more than a link. */
export const HOSTILE_URLS: readonly string[] = [
  'http://good.example/a)[x](http://evil.example/)', 'http://good.example/a) <@all> @everyone (', 'http://good.example/a|x> <!here> <http://evil.example/', 'http://good.example/"><a href="http://evil.example/">',
  "http://good.example/'onclick='x", 'http://good.example/a\nb', 'http://good.example/?q=up{a="b*c*_d_"}', 'http://good.example/<at id=all></at>', 'http://evil.example@good.example/',
  'javascript:alert(1)', 'data:text/html,x', 'not a url', '',
]
