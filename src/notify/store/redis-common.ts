/**
 * What all scripts share. KEYS[1] is what every key begins with; it holds the hash tag, so that
 * all keys lie in one slot of a cluster.
 *
 * `id`, `message-id`: counters · `e:ID`: hash of an entry, dead or not (columns as in the schema of SQLite) · `m:ID`: hash of
 * a message · `channels`: set · `a:CHANNEL`: waiting entries by place · `q:`, `s:`: those outside of messages by place, by
 * severity · `n:`: how many of those each notification has · `f:CHANNEL:FINGERPRINT`: waiting entries by place · `ms:`: messages ·
 * `dc:`: dead entries · `d`, `dd`: all dead ones by id, by time of death · `t:ROUTE:FINGERPRINT`: last accepted state ·
 * `l:CHANNEL`: lease · `w:CHANNEL`: replicas that go first, by until when · `r:ROBOT`: what was sent, by time · `pauses`: hash by robot ·
 * `memory`: hash by name
 */
export const COMMON = `
local base = KEYS[1]
local call = redis.call

local function load(id)
  local flat = call('HGETALL', base .. 'e:' .. id)
  if #flat == 0 then return nil end
  local entry = {}
  for i = 1, #flat, 2 do entry[flat[i]] = flat[i + 1] end
  return entry
end

local function join_queue(entry)
  call('ZADD', base .. 'q:' .. entry.channel, entry.place, entry.id)
  call('ZADD', base .. 's:' .. entry.channel, tonumber(entry.rank) * 1e14 + tonumber(entry.place), entry.id)
  call('HINCRBY', base .. 'n:' .. entry.channel, entry.notification, 1)
end

local function leave_queue(entry)
  call('ZREM', base .. 'q:' .. entry.channel, entry.id)
  call('ZREM', base .. 's:' .. entry.channel, entry.id)
  local notifications = base .. 'n:' .. entry.channel
  if call('HINCRBY', notifications, entry.notification, -1) <= 0 then call('HDEL', notifications, entry.notification) end
end

local function add(entry)
  local flat = {}
  for name, value in pairs(entry) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  call('HSET', base .. 'e:' .. entry.id, unpack(flat))
  call('SADD', base .. 'channels', entry.channel)
  call('ZADD', base .. 'a:' .. entry.channel, entry.place, entry.id)
  call('ZADD', base .. 'f:' .. entry.channel .. ':' .. entry.fingerprint, entry.place, entry.id)
  join_queue(entry)
end

-- Its hash stays: a dead entry keeps it.
local function leave(entry)
  if not entry.message then leave_queue(entry) end
  call('ZREM', base .. 'a:' .. entry.channel, entry.id)
  call('ZREM', base .. 'f:' .. entry.channel .. ':' .. entry.fingerprint, entry.id)
end

-- The entries of a message wait again.
local function take_apart(channel, message)
  for _, id in ipairs(call('ZRANGE', base .. 'me:' .. message, 0, -1)) do
    call('HDEL', base .. 'e:' .. id, 'message')
    join_queue(load(id))
  end
  call('DEL', base .. 'm:' .. message, base .. 'me:' .. message)
  call('ZREM', base .. 'ms:' .. channel, message)
end

-- Those that die in the same ms are told apart by their names: padded, these sort as the numbers do.
local function padded(id) return string.rep('0', 16 - #id) .. id end
local function plain(name) return string.format('%.0f', tonumber(name)) end

local function unbury(entry)
  call('ZREM', base .. 'd', entry.id)
  call('ZREM', base .. 'dd', padded(entry.id))
  call('ZREM', base .. 'dc:' .. entry.channel, entry.id)
  call('DEL', base .. 'e:' .. entry.id)
end

-- How many entries there are beyond the limit once so many more are added, and how many are dead.
local function excess(limit, more)
  local dead = call('ZCARD', base .. 'd')
  local total = dead + more
  for _, channel in ipairs(call('SMEMBERS', base .. 'channels')) do total = total + call('ZCARD', base .. 'a:' .. channel) end
  return total - tonumber(limit), dead
end

local function drop_oldest_dead(most)
  if most <= 0 then return end
  for _, name in ipairs(call('ZRANGE', base .. 'dd', 0, most - 1)) do unbury(load(plain(name))) end
end

local function next_id() return string.format('%.0f', call('INCR', base .. 'id')) end

-- A dead entry's time begins anew, or the deadline that it missed would end it at once.
local function queue_again(dead, channel, now)
  local id = next_id()
  local meant = dead.fallback_for or dead.channel
  local entry = {
    id = id, place = id, notification = dead.notification, route = dead.route, channel = channel, fingerprint = dead.fingerprint,
    firing = dead.firing, rank = dead.rank, received_at = now, untold = dead.untold, alert = dead.alert, context = dead.context,
  }
  if meant ~= channel then entry.fallback_for = meant end
  add(entry)
end

local function holds(channel, fence, now)
  local lease = call('HMGET', base .. 'l:' .. channel, 'fence', 'expires_at')
  return lease[1] == fence and lease[2] and (not now or tonumber(lease[2]) > tonumber(now))
end

local function columns(id, names)
  return call('HMGET', base .. 'e:' .. id, unpack(names))
end
`
