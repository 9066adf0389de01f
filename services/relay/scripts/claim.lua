-- Gives a turn whose owner has gone silent to another worker, under the next fence.
-- `now_ms` is the server's clock, which `wire/redis_link.py` puts before it.
--
-- KEYS: the partition's leases, the turn's facts.
-- ARGV: the turn's id, who claims it, the lease in ms, the highest fence the database knows, and how sure the claimant
-- is: `lapsed` takes only a lease that has run out, `wanted` such a one even when the turn waits for its user,
-- `forgotten` also a turn that has none here, `dead` also one that a worker of the claimant's own name still holds: there
-- are no two of one name, so that one is gone.
-- Answers the new fence, what the turn was asked, and how many owners it has outlived, or nothing. An owner that handed
-- it over (its lease is 0) is not counted.

local until_ms = redis.call('ZSCORE', KEYS[1], ARGV[1])
local sure = ARGV[5]

if redis.call('HEXISTS', KEYS[2], 'ended') == 1 then
    redis.call('ZREM', KEYS[1], ARGV[1])
    return {}
end
local is_own = redis.call('HGET', KEYS[2], 'owner') == ARGV[2]
if until_ms and tonumber(until_ms) > now_ms and not (sure == 'dead' and is_own) then
    return {}
end
if (sure == 'lapsed' or sure == 'wanted') and not until_ms then
    return {}
end
if sure == 'lapsed' and tonumber(until_ms) + tonumber(redis.call('HGET', KEYS[2], 'patience') or '0') > now_ms then
    return {}
end
local fence = math.max(tonumber(redis.call('HGET', KEYS[2], 'fence') or '0'), tonumber(ARGV[4])) + 1
redis.call('HSET', KEYS[2], 'fence', string.format('%d', fence), 'owner', ARGV[2])
local outlived = redis.call('HINCRBY', KEYS[2], 'outlived', (until_ms and tonumber(until_ms) == 0) and 0 or 1)
redis.call('ZADD', KEYS[1], now_ms + tonumber(ARGV[3]), ARGV[1])
return {string.format('%d', fence), redis.call('HGET', KEYS[2], 'order') or '', outlived}
