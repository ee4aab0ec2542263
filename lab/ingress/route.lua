-- Finds the pods for a request: the longest path prefix of its host. Unknown host or path: 404.
-- No ready pod, or no table yet (nginx has just started): 503.
local cjson = require "cjson.safe"

local hosts = cjson.decode(ngx.shared.routes:get("table") or "")
if not hosts then
  return ngx.exit(503)
end
local routes = hosts[ngx.var.host] or hosts["*"]
if not routes then
  return ngx.exit(404)
end

-- "/a" covers "/a" and "/a/b" but not "/ab": pathType Prefix compares whole path elements.
local function covers(prefix, path)
  if prefix:sub(-1) == "/" then
    return path:sub(1, #prefix) == prefix
  end
  return path == prefix or path:sub(1, #prefix + 1) == prefix .. "/"
end

for _, route in ipairs(routes) do
  if covers(route.path, ngx.var.uri) then
    if #route.peers == 0 then
      return ngx.exit(503)
    end
    ngx.ctx.peers, ngx.ctx.service = route.peers, route.service
    return
  end
end
return ngx.exit(404)
