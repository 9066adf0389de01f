-- Gives a turn to one other worker, which has asked for it.
-- `now_ms` is the server's clock, which `wire/redis_link.py` puts before it.
--
-- KEYS: the partition's leases, the turn's facts.
-- ARGV: the turn's id, the fence of the worker that gives it, who gets it, the lease in ms, and what the turn is asked
-- from here on.

if redis.call('HGET', KEYS[2], 'fence') ~= ARGV[2] then
    return 0
end
redis.call('HSET', KEYS[2], 'fence', string.format('%d', tonumber(ARGV[2]) + 1), 'owner', ARGV[3], 'order', ARGV[5])
redis.call('ZADD', KEYS[1], now_ms + tonumber(ARGV[4]), ARGV[1])
return 1
