/** Args: now, dedup ms, limit, how long a state is kept (ms), count of contexts, contexts, then 9 for each candidate. */
export const ACCEPT = `
local now, dedup, contexts = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[5])
local decided, states, tails, plan, notifications = {}, {}, {}, {}, {}
local queued, merged, duplicates = 0, 0, 0
local last_id = tonumber(call('GET', base .. 'id') or 0)

local function is_news(key, firing, reminder)
  local last = states[key]
  if not last then
    local stored = call('HMGET', base .. 't:' .. key, 'firing', 'reminder', 'at')
    last = { firing = stored[1], reminder = stored[2], at = stored[3] and tonumber(stored[3]) }
  end
  if last.at and math.abs(now - last.at) < dedup and last.firing == firing and (reminder == '0' or last.reminder == '1') then return false end
  states[key] = { firing = firing, reminder = reminder, at = now }
  return true
end

local function newest(channel, route, fingerprint)
  local key, i = base .. 'f:' .. channel .. ':' .. fingerprint, 0
  while true do
    local id = call('ZREVRANGE', key, i, i)[1]
    if not id then return nil end
    if call('HGET', base .. 'e:' .. id, 'route') == route then return load(id) end
    i = i + 1
  end
end

-- Nothing is written before everything is known to fit: a script that fails is not undone.
for at = 6 + contexts, #ARGV, 9 do
  local acceptance, item, route, channel, fingerprint, firing, reminder, rank, alert = unpack(ARGV, at, at + 8)
  if decided[acceptance] == nil then decided[acceptance] = is_news(route .. ':' .. fingerprint, firing, reminder) end
  if not decided[acceptance] then
    duplicates = duplicates + 1
  else
    local tail_key = channel .. ':' .. route .. ':' .. fingerprint
    local tail = tails[tail_key] or newest(channel, route, fingerprint)
    local entry
    if tail and not tail.message and not (firing == '1' and tail.firing == '0') then
      merged = merged + 1
      local untold = firing == '0' and (tail.firing == '1' or tail.untold == '1')
      if tail.planned then
        entry = tail
      else
        entry = { planned = true, replaces = tail, place = tail.place, received_at = tail.received_at, fallback_for = tail.fallback_for }
        plan[#plan + 1] = entry
      end
      entry.untold = untold and '1' or '0'
    else
      queued = queued + 1
      entry = { planned = true, received_at = ARGV[1], untold = '0' }
      plan[#plan + 1] = entry
    end
    -- What takes over has an id of its own: whoever has composed the older text cannot freeze it any more.
    last_id = last_id + 1
    entry.id = string.format('%.0f', last_id)
    entry.place = entry.place or entry.id
    notifications[item] = notifications[item] or entry.id
    entry.notification, entry.route, entry.channel, entry.fingerprint = notifications[item], route, channel, fingerprint
    entry.firing, entry.rank, entry.alert, entry.context = firing, rank, alert, ARGV[6 + tonumber(item)]
    tails[tail_key] = entry
  end
end

if queued > 0 then
  local over, dead = excess(ARGV[3], queued)
  if over > dead then return { 'full' } end
  drop_oldest_dead(over)
end
for key, state in pairs(states) do
  call('HSET', base .. 't:' .. key, 'firing', state.firing, 'reminder', state.reminder, 'at', ARGV[1])
  call('PEXPIRE', base .. 't:' .. key, ARGV[4])
end
for _, entry in ipairs(plan) do
  if entry.replaces then
    leave(entry.replaces)
    call('DEL', base .. 'e:' .. entry.replaces.id)
  end
  entry.planned, entry.replaces = nil, nil
  add(entry)
end
-- Written even when nothing is news: WAITAOF waits for what its own connection has written, and an equal write of an earlier one
-- may not be on disk yet.
if last_id > 0 then call('SET', base .. 'id', string.format('%.0f', last_id)) end
return { 'ok', queued, duplicates, merged }
`
