// The outbox as scripts: each is one call, and atomic. Keys and what they share: redis-common.ts.
import { ACCEPT } from './redis-accept.ts'
import { COMMON } from './redis-common.ts'

/** Args: channel, ms until its end, now. */
const lease = `
local key = base .. 'l:' .. ARGV[1]
local expires_at = call('HGET', key, 'expires_at')
if expires_at and tonumber(expires_at) > tonumber(ARGV[3]) then return { 'ok' } end
call('HSET', key, 'expires_at', tonumber(ARGV[3]) + tonumber(ARGV[2]))
return { 'ok', call('HINCRBY', key, 'fence', 1) }
`

/** Args: channel, fence, ms, now. */
const renew = `
if not holds(ARGV[1], ARGV[2]) then return { 'lost' } end
call('HSET', base .. 'l:' .. ARGV[1], 'expires_at', tonumber(ARGV[4]) + tonumber(ARGV[3]))
return { 'ok' }
`

/** Args: channel, fence. */
const release = `
if holds(ARGV[1], ARGV[2]) then call('HDEL', base .. 'l:' .. ARGV[1], 'expires_at') end
return { 'ok' }
`

/** Args: channel, q or s (the order), most, columns. */
const queued = `
local found, start, most = {}, 0, tonumber(ARGV[3])
local names = { unpack(ARGV, 4) }

local function is_free(id)
  local entry = call('HMGET', base .. 'e:' .. id, 'fingerprint', 'place')
  local key = base .. 'f:' .. ARGV[1] .. ':' .. entry[1]
  if call('ZCARD', key) == 1 then return true end
  for _, earlier in ipairs(call('ZRANGEBYSCORE', key, '-inf', '(' .. entry[2])) do
    if call('HEXISTS', base .. 'e:' .. earlier, 'message') == 1 then return false end
  end
  return true
end

while #found < most do
  local page = call('ZRANGE', base .. ARGV[2] .. ':' .. ARGV[1], start, start + 99)
  if #page == 0 then break end
  for _, id in ipairs(page) do
    if #found < most and is_free(id) then found[#found + 1] = columns(id, names) end
  end
  start = start + #page
end
return { 'ok', found }
`

/** Args: channel, now. */
const waiting = `
if call('ZCOUNT', base .. 'w:' .. ARGV[1], '(' .. ARGV[2], '+inf') > 0 then return { 'ok', 0, 0 } end
return { 'ok', call('ZCARD', base .. 'q:' .. ARGV[1]), call('HLEN', base .. 'n:' .. ARGV[1]) }
`

/** Args: channel, replica, now, ms. */
const letFirst = `
local key, now, ms = base .. 'w:' .. ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
call('ZREMRANGEBYSCORE', key, '-inf', now)
if ms > 0 then call('ZADD', key, now + ms, ARGV[2]) else call('ZREM', key, ARGV[2]) end
call('PEXPIRE', key, ms + 60000)
return { 'ok' }
`

const MESSAGE = `
local function message_of(id, names)
  local message = call('HMGET', base .. 'm:' .. id, 'id', 'channel', 'parts', 'sent', 'attempts', 'next_at', 'digest')
  local entries = {}
  for _, entry in ipairs(call('ZRANGE', base .. 'me:' .. id, 0, -1)) do entries[#entries + 1] = columns(entry, names) end
  return { message, entries }
end
`

/** Args: channel, columns. */
const messages = `${MESSAGE}
local found = {}
local names = { unpack(ARGV, 2) }
for _, id in ipairs(call('ZRANGE', base .. 'ms:' .. ARGV[1], 0, -1)) do found[#found + 1] = message_of(id, names) end
return { 'ok', found }
`

/** Args: channel, fence, parts, how many, digest, now, count of columns, columns, entries. */
const freeze = `${MESSAGE}
local channel = ARGV[1]
if not holds(channel, ARGV[2]) then return { 'lost' } end
local first = 8 + tonumber(ARGV[7])
local entries, seen = {}, {}
for at = first, #ARGV do
  local entry = load(ARGV[at])
  if seen[ARGV[at]] or not entry or entry.channel ~= channel or entry.message or entry.died_at then return { 'changed', ARGV[at] } end
  seen[ARGV[at]] = true
  entries[#entries + 1] = entry
end
local id = string.format('%.0f', call('INCR', base .. 'message-id'))
call('HSET', base .. 'm:' .. id, 'id', id, 'channel', channel, 'parts', ARGV[3], 'count', ARGV[4], 'sent', 0, 'attempts', 0, 'next_at', ARGV[6], 'digest', ARGV[5])
call('ZADD', base .. 'ms:' .. channel, id, id)
for _, entry in ipairs(entries) do
  leave_queue(entry)
  call('HSET', base .. 'e:' .. entry.id, 'message', id)
  call('ZADD', base .. 'me:' .. id, entry.place, entry.id)
end
return { 'ok', message_of(id, { unpack(ARGV, 8, first - 1) }) }
`

const ROOM = `
local function room(robot, now, first)
  local paused = call('HGET', base .. 'pauses', robot)
  local wait, left, longest = math.max(0, tonumber(paused or 0) - now), 9007199254740991, 0
  for at = first, #ARGV, 2 do
    local messages, per = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
    longest = math.max(longest, per)
    -- What stands in the future was sent by a clock that has been set back since, or by another one that is a little ahead.
    local from, to = string.format('(%.0f', now - per), string.format('(%.0f', now + per)
    local blocking = call('ZREVRANGEBYSCORE', base .. 'r:' .. robot, to, from, 'WITHSCORES', 'LIMIT', messages - 1, 1)
    if blocking[2] then
      wait = math.max(wait, tonumber(blocking[2]) + per - now)
    else
      left = math.min(left, messages - 1 - call('ZCOUNT', base .. 'r:' .. robot, from, to))
    end
  end
  if wait > 0 then left = 0 end
  return wait, left, longest
end
`

/** Args: robot, now, then messages and ms of each rate. */
const room = `${ROOM}
local wait, left = room(ARGV[1], tonumber(ARGV[2]), 3)
return { 'ok', wait, left }
`

/** Args: channel, fence, robot, now, then messages and ms of each rate. */
const take = `${ROOM}
local robot, now = ARGV[3], tonumber(ARGV[4])
if not holds(ARGV[1], ARGV[2], now) then return { 'lost' } end
local wait, left, longest = room(robot, now, 5)
if wait == 0 and longest > 0 then
  local key = base .. 'r:' .. robot
  call('ZREMRANGEBYSCORE', key, '-inf', now - longest)
  call('ZADD', key, now, call('INCR', base .. 'send-id'))
  call('PEXPIRE', key, 2 * longest + 60000)
end
return { 'ok', wait, left }
`

/** Args: robot, until. */
const pause = `
local until_now = tonumber(call('HGET', base .. 'pauses', ARGV[1]) or 0)
if tonumber(ARGV[2]) > until_now then call('HSET', base .. 'pauses', ARGV[1], ARGV[2]) end
return { 'ok' }
`

/** Args: channel, fence, message, now, how many parts are sent by now or nothing. */
const partSent = `
if not holds(ARGV[1], ARGV[2]) then return { 'lost' } end
local id = ARGV[3]
local key = base .. 'm:' .. id
local message = call('HMGET', key, 'sent', 'count', 'channel')
if message[3] ~= ARGV[1] then return { 'ok' } end
local before = tonumber(message[1])
local sent = math.max(before, ARGV[5] == '' and before + 1 or tonumber(ARGV[5]))
if sent < tonumber(message[2]) then
  call('HSET', key, 'sent', sent, 'attempts', 0, 'next_at', ARGV[4])
  return { 'ok' }
end
for _, entry in ipairs(call('ZRANGE', base .. 'me:' .. id, 0, -1)) do
  leave(load(entry))
  call('DEL', base .. 'e:' .. entry)
end
call('DEL', key, base .. 'me:' .. id)
call('ZREM', base .. 'ms:' .. ARGV[1], id)
return { 'ok' }
`

/** Args: channel, fence, message, next attempt. */
const postpone = `
if not holds(ARGV[1], ARGV[2]) then return { 'lost' } end
local key = base .. 'm:' .. ARGV[3]
if call('HGET', key, 'channel') == ARGV[1] then
  call('HINCRBY', key, 'attempts', 1)
  call('HSET', key, 'next_at', ARGV[4])
end
return { 'ok' }
`

/** Args: channel, fence, message, whether parts of it may be sent, entries that are told. */
const thaw = `
if not holds(ARGV[1], ARGV[2]) then return { 'lost' } end
local message = call('HMGET', base .. 'm:' .. ARGV[3], 'channel', 'sent')
if message[1] ~= ARGV[1] or (ARGV[4] == '0' and tonumber(message[2]) > 0) then return { 'ok' } end
for at = 5, #ARGV do
  local entry = load(ARGV[at])
  if entry and entry.message == ARGV[3] then
    leave(entry)
    call('DEL', base .. 'e:' .. entry.id)
    call('ZREM', base .. 'me:' .. ARGV[3], entry.id)
  end
end
take_apart(ARGV[1], ARGV[3])
return { 'ok' }
`

/** Args: channel, fence, reason, detail, channel to hand to or nothing, now, limit, entries. */
const giveUp = `
local channel, hand_to, now = ARGV[1], ARGV[5], ARGV[6]
if not holds(channel, ARGV[2]) then return { 'lost' } end
for at = 8, #ARGV do
  local id = ARGV[at]
  local entry = load(id)
  if entry and entry.channel == channel and not entry.died_at then
    leave(entry)
    local key, message = base .. 'e:' .. id, entry.message
    call('HDEL', key, 'message')
    call('HSET', key, 'reason', ARGV[3], 'detail', ARGV[4], 'died_at', now)
    if hand_to ~= '' then call('HSET', key, 'handed_to', hand_to) end
    call('ZADD', base .. 'd', id, id)
    call('ZADD', base .. 'dd', now, padded(id))
    call('ZADD', base .. 'dc:' .. channel, id, id)
    if message then
      call('ZREM', base .. 'me:' .. message, id)
      take_apart(channel, message)
    end
    if hand_to ~= '' then queue_again(entry, hand_to, now) end
  end
end
drop_oldest_dead((excess(ARGV[7], 0)))
return { 'ok' }
`

const depths = `
local found = {}
local names = call('SMEMBERS', base .. 'channels')
table.sort(names)
for _, channel in ipairs(names) do
  local waiting, dead = call('ZCARD', base .. 'a:' .. channel), call('ZCARD', base .. 'dc:' .. channel)
  if waiting + dead > 0 then
    local oldest = call('ZRANGE', base .. 'a:' .. channel, 0, 0)[1]
    found[#found + 1] = { channel, waiting, dead, oldest and call('HGET', base .. 'e:' .. oldest, 'received_at') }
  end
end
return { 'ok', found }
`

/** Args: channel or nothing, after which id, most, columns. */
const dead = `
local found = {}
local names = { unpack(ARGV, 4) }
local key = ARGV[1] == '' and base .. 'd' or base .. 'dc:' .. ARGV[1]
for _, id in ipairs(call('ZRANGEBYSCORE', key, '(' .. ARGV[2], '+inf', 'LIMIT', 0, ARGV[3])) do found[#found + 1] = columns(id, names) end
return { 'ok', found }
`

/** Args: channel or nothing, now, ids. */
const resend = `
local found = 0
for at = 3, #ARGV do
  local entry = load(ARGV[at])
  if entry and entry.died_at then
    unbury(entry)
    queue_again(entry, ARGV[1] == '' and entry.channel or ARGV[1], ARGV[2])
    found = found + 1
  end
end
return { 'ok', found }
`

/** Args: ids. */
const forget = `
local found = 0
for _, id in ipairs(ARGV) do
  local entry = load(id)
  if entry and entry.died_at then
    unbury(entry)
    found = found + 1
  end
end
return { 'ok', found }
`

/** Args: name. */
const recall = `
return { 'ok', call('HGET', base .. 'memory', ARGV[1]) }
`

/** Args: name, value. */
const remember = `
call('HSET', base .. 'memory', ARGV[1], ARGV[2])
return { 'ok' }
`

/** Args: now, dead until when, most. States and what robots have sent expire by themselves. */
const sweep = `
for _, name in ipairs(call('ZRANGEBYSCORE', base .. 'dd', '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])) do unbury(load(plain(name))) end
local pauses = call('HGETALL', base .. 'pauses')
for i = 1, #pauses, 2 do
  if tonumber(pauses[i + 1]) <= tonumber(ARGV[1]) then call('HDEL', base .. 'pauses', pauses[i]) end
end
for _, channel in ipairs(call('SMEMBERS', base .. 'channels')) do
  if call('ZCARD', base .. 'a:' .. channel) + call('ZCARD', base .. 'dc:' .. channel) == 0 then call('SREM', base .. 'channels', channel) end
end
return { 'ok' }
`

/**
 * What drains the outbox, or is a few bytes, must work when the server's memory is full, or it stays full for ever: Redis
 * refuses a command that may need memory only while the script has not written yet, and DEL needs none.
 */
const draining = { lease, renew, release, freeze, take, pause, partSent, postpone, thaw, giveUp, resend, forget, remember, sweep }
const BODIES = {
  accept: ACCEPT, queued, waiting, letFirst, messages, room, depths, dead, recall,
  ...draining,
}

export type ScriptName = keyof typeof BODIES

/** The text of a script. It answers with an array whose first item is `ok`, `lost` (the lease), `full` or `changed` (entries). */
export function scriptOf(name: ScriptName): string {
  return `${COMMON}${name in draining ? "call('DEL', base .. 'nothing')" : ''}${BODIES[name]}`
}
