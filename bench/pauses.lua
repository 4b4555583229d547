-- For wrk: each connection waits 0 to 3 ms after an answer, as clients do that have something else to do.
math.randomseed(7)
function delay()
  return math.random(0, 3)
end
