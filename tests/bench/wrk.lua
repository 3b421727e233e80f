-- What wrk is to ask, and its figures as a line of JSON. Arguments: depth, method, path, close,
-- and the file with the body.

local all

function request() return all end

function init(args)
  local depth = tonumber(args[1])
  local headers = {}
  if args[4] == "close" then headers["Connection"] = "close" end
  local body
  if args[5] then
    local f = io.open(args[5], "rb")
    body = f:read("*a")
    f:close()
    headers["Content-Type"] = "application/json"
  end
  local one = wrk.format(args[2], args[3], headers, body)
  all = string.rep(one, depth)
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '{"requests": %d, "us": %d, "bytes": %d, "bad": %d, "p50_us": %d, "p99_us": %d, "p999_us": %d}\n',
    summary.requests, summary.duration, summary.bytes,
    e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
