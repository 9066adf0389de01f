-- Lets the next worker that looks have a turn at once.
--
-- KEYS: the partition's leases, the turn's facts. ARGV: the turn's id, the fence of the worker that lets go.

if redis.call('HGET', KEYS[2], 'fence') == ARGV[2] then
    redis.call('ZADD', KEYS[1], 0, ARGV[1])
    return 1
end
return 0
