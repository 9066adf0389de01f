-- Lets the next worker that looks have a turn at once; one that waits for its user, the worker that this user comes to.
-- `now_ms` is the server's clock, which `wire/redis_link.py` puts before it.
--
-- KEYS: the partition's leases, the turn's facts. ARGV: the turn's id, the fence of the worker that lets go.

if redis.call('HGET', KEYS[2], 'fence') == ARGV[2] then
    local patience_ms = tonumber(redis.call('HGET', KEYS[2], 'patience') or '0')
    redis.call('ZADD', KEYS[1], patience_ms > 0 and now_ms or 0, ARGV[1])
    return 1
end
return 0
