// Numbers that look random and are the same for the same seed.

/** Uniform in [0, 1): mulberry32, whose period of 2^32 is enough for a trace. */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function normal(random) {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Of mean 1 with the given coefficient of variation: gamma up to 1, log-normal above. */
export function interval(random, variation) {
  if (variation <= 1) return gamma(random, 1 / variation ** 2) * variation ** 2;
  const spread = Math.log(1 + variation ** 2);
  return Math.exp(Math.sqrt(spread) * normal(random) - spread / 2);
}

/** Gamma with scale 1 and a shape of at least 1 (Marsaglia and Tsang, ACM TOMS 2000). */
function gamma(random, shape) {
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = normal(random);
    const v = (1 + c * x) ** 3;
    if (v <= 0) continue;
    if (Math.log(1 - random()) < x ** 2 / 2 + d - d * v + d * Math.log(v)) return d * v;
  }
}

/** A Poisson count: exact for small means, rounded normal above. */
export function poisson(random, mean) {
  if (mean > 30) return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal(random)));
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = random(); product > limit; product *= random()) count++;
  return count;
}

/** One of `[value, weight]` pairs. */
export function pick(random, weighted) {
  let at = random() * weighted.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [value, weight] of weighted) {
    at -= weight;
    if (at < 0) return value;
  }
  return weighted.at(-1)[0];
}
