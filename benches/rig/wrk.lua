-- Drives wrk, for the rows on HTTP/1.1. Environment:
--   BENCH_HEADERS  file of request headers, one "name: value" a line
--   BENCH_TOKENS   optional file of tokens, one a line: every request takes the next, as x-edge-claims
--   BENCH_START    index of the first token
--   BENCH_AGAIN    index of the token that comes after the last one
-- Prints one line of JSON at the end; latencies in microseconds.

local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function init(args)
   for line in io.lines(os.getenv("BENCH_HEADERS")) do
      local name, value = line:match("^([^:]+): (.*)$")
      -- wrk adds a Host of its own unless there is one by exactly this name.
      wrk.headers[name == "host" and "Host" or name] = value
   end
   next_token = 0
   if not os.getenv("BENCH_TOKENS") then
      return -- the same request every time
   end

   -- The request is built once around a mark, so that a request costs one concatenation here.
   wrk.headers["x-edge-claims"] = "@"
   local whole = wrk.format(nil)
   local mark = whole:find("x-edge-claims: @", 1, true) + #"x-edge-claims: "
   local before, after = whole:sub(1, mark - 1), whole:sub(mark + 1)
   local tokens = {}
   for token in io.lines(os.getenv("BENCH_TOKENS")) do
      table.insert(tokens, token)
   end
   next_token = tonumber(os.getenv("BENCH_START"))
   local again = tonumber(os.getenv("BENCH_AGAIN"))

   request = function()
      next_token = (next_token < #tokens and next_token or again) + 1
      return before .. tokens[next_token] .. after
   end
end

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      '{"requests":%d,"duration_us":%d,"p50_us":%.1f,"p99_us":%.1f,"bad_status":%d,"broken":%d,"next_token":%d}\n',
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
      errors.connect + errors.read + errors.write + errors.timeout, threads[1]:get("next_token")
   ))
end
