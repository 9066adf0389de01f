-- Appends to several turns' logs, each as far as its fence still holds, and renews their leases.
-- `now_ms` is the server's clock, which `wire/redis_link.py` puts before it.
--
-- KEYS: the partition's leases, then each turn's facts and log.
-- ARGV: the owner, the lease and the life of a running turn's keys in ms; then for each turn its id, its fence, the id
-- of the last entry its owner knows to be here, ms to keep an ended log (0: it runs), what it was asked (empty: known
-- here), ms it waits for its user when its owner is gone, and how many entries follow, each as id, kind and payload.
-- Answers for each turn: `ok`; `overtaken`: another worker has it; `lost`: nothing is known of it here;
-- `behind <id>`: this server has forgotten what came after `id`. Only `ok` has written anything.
-- Done twice it does what it does once: entries that are here already are passed over.

local function comes_before(one, other)
    local epoch, offset = one:match('(%d+)-(%d+)')
    local other_epoch, other_offset = other:match('(%d+)-(%d+)')
    if epoch ~= other_epoch then
        return tonumber(epoch) < tonumber(other_epoch)
    end
    return tonumber(offset) < tonumber(other_offset)
end

local owner, lease_ms, life_ms = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local answers = {}
local at = 4

for key = 2, #KEYS, 2 do
    local facts, log = KEYS[key], KEYS[key + 1]
    local turn, fence, after, keep_ms, order = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
    local patience_ms = ARGV[at + 5]
    local first = at + 7
    at = first + 3 * tonumber(ARGV[at + 6])

    local held = redis.call('HGET', facts, 'fence')
    if order ~= '' and (not held or held == fence) then
        redis.call('HSET', facts, 'fence', fence, 'owner', owner, 'order', order, 'patience', patience_ms)
        held = fence
    end
    if not held then
        answers[#answers + 1] = 'lost'
    elseif held ~= fence then
        answers[#answers + 1] = 'overtaken'
    else
        local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
        local last = newest and newest[1] or '0-0'
        if comes_before(last, after) then
            answers[#answers + 1] = 'behind ' .. last
        else
            for entry = first, at - 1, 3 do
                if comes_before(last, ARGV[entry]) then
                    redis.call('XADD', log, ARGV[entry], 'k', ARGV[entry + 1], 'v', ARGV[entry + 2])
                end
            end
            if keep_ms ~= '0' then
                redis.call('HDEL', facts, 'order')
                redis.call('HSET', facts, 'ended', 1)
                redis.call('ZREM', KEYS[1], turn)
                redis.call('PEXPIRE', facts, keep_ms)
                redis.call('PEXPIRE', log, keep_ms)
            else
                redis.call('ZADD', KEYS[1], now_ms + lease_ms, turn)
                redis.call('PEXPIRE', facts, life_ms)
                redis.call('PEXPIRE', log, life_ms)
            end
            answers[#answers + 1] = 'ok'
        end
    end
end
return answers
