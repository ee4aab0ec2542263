-- Takes the pods in turn; a second try goes to the next one.
local balancer = require "ngx.balancer"

local peers = ngx.ctx.peers
if ngx.ctx.turn then
  ngx.ctx.turn = ngx.ctx.turn + 1
else
  ngx.ctx.turn = ngx.shared.routes:incr("turn:" .. ngx.ctx.service, 1, 0)
  if #peers > 1 then
    balancer.set_more_tries(math.min(#peers - 1, 2))
  end
end
local peer = peers[ngx.ctx.turn % #peers + 1]
local chosen, why = balancer.set_current_peer(peer[1], peer[2])
if not chosen then
  ngx.log(ngx.ERR, "cannot use ", peer[1], ": ", why)
end
