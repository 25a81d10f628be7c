"""The scripts that the engine runs, in Lua: each one step, which nobody sees the middle of.

What they have in common:

- They check first and write last, since a script that fails half-way is not rolled back. Where memory is full the first
  write is refused; after it none is. The lease, beats and what a new owner needs are small, and are written all the
  same (`_EVEN_IF_FULL`).
- Running one twice does no more than running it once, so that a caller whose reply was lost may ask again.
- Only the holder of the lease writes: the epoch of the caller has to be that of the lease, which expires by itself.
- Ids and epochs are below 2**53, which Lua counts exactly; they are written with all their digits, never as 1.8e+15.
- What no replica can have written, as a key of another type or an id of the year 2112, keeps nobody from the lease: who
  asks for it removes that first, as if the engine had lost it. A lease without an end, as of a copy, or whose end
  is far away, since the engine's clock was put back, ends in three seconds.

The lease is a hash: epoch, replica, address, token, and what `take` answered, to answer it again. An entry of the log
has its id's distance to the entry before (`d`), its epoch (`e`) and its bytes (`v`).
"""

from __future__ import annotations

from typing import Final

from service.cluster.engine import BEATS_KEPT

_EVEN_IF_FULL: Final = "#!lua flags=allow-oom\n"
_COMMON: Final = """
local function newest(stream)
    local found = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
    return found[1] and found[1][1] or '0-0'
end
local function last_of(log)
    return string.match(newest(log), '^%d+')
end
local function digits(number)
    return string.format('%.0f', number)
end
local function is_ours(text)
    local number = tonumber(string.match(text or '', '^%d+$'))
    return number ~= nil and number < 4503599627370496
end
"""

TAKE: Final = (
    _EVEN_IF_FULL
    + _COMMON
    + """
-- KEYS: lease epoch log handover beat, then the others, all hashes
-- ARGV: replica address token lifetime epoch_above id_above
local types = {'hash', 'string', 'stream', 'hash', 'stream'}
for place, key in ipairs(KEYS) do
    local found = redis.call('TYPE', key)['ok']
    if found ~= 'none' and found ~= (types[place] or 'hash') then
        redis.call('DEL', key)
    end
end
if not is_ours(redis.call('HGET', KEYS[1], 'epoch')) then
    redis.call('DEL', KEYS[1])
else
    local left = redis.call('PTTL', KEYS[1])
    if left == -1 or left > ARGV[4] + 0 then
        redis.call('PEXPIRE', KEYS[1], ARGV[4])
    end
end
local held = redis.call('HMGET', KEYS[1], 'token', 'epoch', 'begins', 'last', 'before', 'replica', 'address')
if held[2] and held[1] ~= ARGV[3] then
    return {'held', held[2], held[6], held[7]}
end
local function handover(before)
    local left = redis.call('HMGET', KEYS[4], 'epoch', 'to', 'data')
    return left[1] == before and left[2] == ARGV[1] and left[3] or ''
end
if held[2] then
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
    return {'taken', held[2], held[3], held[4], held[5], handover(held[5])}
end
for _, stream in ipairs({KEYS[3], KEYS[5]}) do
    if not is_ours(string.match(newest(stream), '^%d+')) then
        redis.call('DEL', stream)
    end
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local before = redis.call('GET', KEYS[2]) or '0'
if not is_ours(before) then
    before = '0'
end
local beaten = string.match(newest(KEYS[5]), '^%d+')
local epoch = digits(math.max(before + 0, now - 1, ARGV[5] + 0, beaten + 0) + 1)
local last = last_of(KEYS[3])
local begins = digits(math.max(last + 0, now, ARGV[6] + 0) + 1)
redis.call('XADD', KEYS[3], begins .. '-0', 'd', digits(begins - last), 'e', epoch, 'v', '')
redis.call('SET', KEYS[2], epoch)
redis.call('HSET', KEYS[1], 'epoch', epoch, 'replica', ARGV[1], 'address', ARGV[2], 'token', ARGV[3],
    'begins', begins, 'last', last, 'before', before)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {'taken', epoch, begins, last, before, handover(before)}
"""
)

BEAT: Final = (
    _EVEN_IF_FULL
    + _COMMON
    + f"""
-- KEYS: lease log beat; ARGV: epoch number last lifetime data
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then
    return {{'lost'}}
end
local last = last_of(KEYS[2])
if last ~= ARGV[3] then
    return {{'rewound', last}}
end
local epoch, number = string.match(newest(KEYS[3]), '^(%d+)-(%d+)$')
if epoch + 0 > ARGV[1] + 0 then
    return {{'lost'}}
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
if epoch + 0 < ARGV[1] + 0 or (epoch == ARGV[1] and number + 0 < ARGV[2] + 0) then
    redis.call('XADD', KEYS[3], 'MAXLEN', {BEATS_KEPT}, ARGV[1] .. '-' .. ARGV[2], 'v', ARGV[5])
end
return {{'done'}}
"""
)

COMMIT: Final = (
    _COMMON
    + """
-- KEYS: lease log held, then the tables
-- ARGV: epoch previous kept, then after their numbers: entries (id distance data), contacts, puts (key field data)
local holder = redis.call('HGET', KEYS[1], 'epoch')
if not holder then
    redis.call('HDEL', KEYS[1], 'epoch')
end
if holder ~= ARGV[1] then
    return {'lost'}
end
local place = 4
local entries = place + 1
place = entries + 3 * ARGV[place]
local contacts = place + 1
place = contacts + ARGV[place]
local puts = place + 1
local last = last_of(KEYS[2])
local function touched()
    redis.call('PEXPIRE', KEYS[1], redis.call('PTTL', KEYS[1]))
    return {'done'}
end
if contacts - entries > 1 and last == ARGV[contacts - 4] then
    return touched()
end
if last ~= ARGV[2] then
    return {'rewound', last}
end
local held = {'held'}
for contact = contacts, place - 1 do
    if redis.call('HEXISTS', KEYS[3], ARGV[contact]) == 1 then
        held[#held + 1] = ARGV[contact]
    end
end
if #held > 1 then
    return held
end
for put = puts, #ARGV, 3 do
    if ARGV[put + 2] == '' then
        redis.call('HDEL', KEYS[ARGV[put] + 0], ARGV[put + 1])
    else
        redis.call('HSET', KEYS[ARGV[put] + 0], ARGV[put + 1], ARGV[put + 2])
    end
end
for entry = entries, contacts - 2, 3 do
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], ARGV[entry] .. '-0',
        'd', ARGV[entry + 1], 'e', ARGV[1], 'v', ARGV[entry + 2])
end
if contacts - entries > 1 then
    return {'done'}
end
return touched()
"""
)
"""`commit`, and `claim` with contacts that nobody may hold. The values come first: the entries are what makes it so.

Where nobody has the lease any more it writes before it says so (HDEL, which changes nothing): where the engine takes no
writes, as a copy or a primary without enough copies, that is its answer. Nobody can take the lease there, so its owner
goes on as without an engine.

It writes in every other case too (`touched`), the second time as well: WAIT, which follows it, waits for what its own
connection has written, and for nothing where that is nothing.
"""

COMMIT_EVEN_IF_FULL: Final = _EVEN_IF_FULL + COMMIT
"""The same, for what is small and has to be written."""

RELEASE: Final = (
    _EVEN_IF_FULL
    + _COMMON
    + f"""
-- KEYS: lease log beat handover; ARGV: epoch number last data to handover
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then
    return {{'lost'}}
end
local is_whole = last_of(KEYS[2]) == ARGV[3]
redis.call('DEL', KEYS[1])
if is_whole and ARGV[5] ~= '' then
    redis.call('HSET', KEYS[4], 'epoch', ARGV[1], 'to', ARGV[5], 'data', ARGV[6])
end
local epoch, number = string.match(newest(KEYS[3]), '^(%d+)-(%d+)$')
if epoch + 0 < ARGV[1] + 0 or (epoch == ARGV[1] and number + 0 < ARGV[2] + 0) then
    redis.call('XADD', KEYS[3], 'MAXLEN', {BEATS_KEPT}, ARGV[1] .. '-' .. ARGV[2], 'v', ARGV[4])
end
return {{'done'}}
"""
)

SNAPSHOT: Final = """
-- KEYS: log lease, then the tables
local found = {
    redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1),
    redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1),
    redis.call('HMGET', KEYS[2], 'epoch', 'replica', 'address'),
}
for key = 3, #KEYS do
    found[#found + 1] = redis.call('HGETALL', KEYS[key])
end
return found
"""
"""Reads only. It takes the engine eight times as long as a transaction does, and is for when that is refused."""
