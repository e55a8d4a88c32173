-- For wrk: POSTs the bodies FOLDER/00, FOLDER/01, ... (COUNT of them) in turns, and prints what came of it as one line of JSON.
-- wrk -s serving_rotate.lua URL -- FOLDER COUNT CONTENT_TYPE

local requests = {}
local at = 0

function init(args)
   for i = 0, tonumber(args[2]) - 1 do
      local file = assert(io.open(args[1] .. "/" .. string.format("%02d", i), "rb"))
      requests[#requests + 1] = wrk.format("POST", nil, {["Content-Type"] = args[3]}, file:read("*a"))
      file:close()
   end
end

function request()
   at = at % #requests + 1
   return requests[at]
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "not_2xx": %d, "broken": %d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
      errors.status, errors.connect + errors.read + errors.write + errors.timeout
   ))
end
