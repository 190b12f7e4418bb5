/** A stream of numbers fixed by its seed. */
export interface Random {
  /** In [0, 1), 32 bits. */
  next(): number
  /** Integer in [0, n). */
  below(n: number): number
  between(low: number, high: number): number
  /** Between with equal weight per factor, for quantities that span decades. */
  logBetween(low: number, high: number): number
  normal(mean: number, deviation: number): number
  poisson(mean: number): number
  /** Waiting time with this mean. */
  exponential(mean: number): number
}

/** sfc32 (Doty-Humphrey's Small Fast Counting generator, 128 bits of state), seeded by splitmix32. */
export function createRandom(seed: number): Random {
  let mix = seed | 0
  const seedWord = () => {
    mix = (mix + 0x9e3779b9) | 0
    let word = Math.imul(mix ^ (mix >>> 16), 0x21f0aaad)
    word = Math.imul(word ^ (word >>> 15), 0x735a2d97)
    return (word ^ (word >>> 15)) | 0
  }
  let a = seedWord()
  let b = seedWord()
  let c = seedWord()
  let counter = 1
  const next = () => {
    const result = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + result) | 0
    return (result >>> 0) / 4_294_967_296
  }
  for (let i = 0; i < 12; i++) next() // its author's warm-up for a 96-bit seed
  return withDistributions(next)
}

function withDistributions(next: () => number): Random {
  const normal = (mean: number, deviation: number) => {
    const radius = Math.sqrt(-2 * Math.log(1 - next()))
    return mean + deviation * radius * Math.cos(2 * Math.PI * next())
  }
  return {
    next,
    below: (n) => Math.floor(next() * n),
    between: (low, high) => low + next() * (high - low),
    logBetween: (low, high) => low * (high / low) ** next(),
    normal,
    exponential: (mean) => -mean * Math.log(1 - next()),
    poisson: (mean) => {
      // Above 60 the normal approximation is within a percent and Knuth's product would take 60 draws.
      if (mean > 60) return Math.max(0, Math.round(normal(mean, Math.sqrt(mean))))
      const limit = Math.exp(-mean)
      let count = 0
      for (let product = next(); product > limit; product *= next()) count += 1
      return count
    },
  }
}

/** Draws an index with probability proportional to its weight (Vose's alias method: two numbers a draw). */
export function createWeightedDraw(weights: ArrayLike<number>): (random: Random) => number {
  const n = weights.length
  let total = 0
  for (let i = 0; i < n; i++) total += weights[i]!
  const share = Float64Array.from({ length: n }, (_, i) => (weights[i]! * n) / total)
  const alias = Int32Array.from({ length: n }, (_, i) => i)
  const small: number[] = []
  const large: number[] = []
  for (let i = 0; i < n; i++) (share[i]! < 1 ? small : large).push(i)
  while (small.length > 0 && large.length > 0) {
    const poor = small.pop()!
    const rich = large[large.length - 1]!
    alias[poor] = rich
    share[rich] = share[rich]! - (1 - share[poor]!)
    if (share[rich] < 1) small.push(large.pop()!)
  }
  // What is left is 1 up to rounding.
  for (const i of small) share[i] = 1
  for (const i of large) share[i] = 1
  return (random) => {
    const i = random.below(n)
    return random.next() < share[i]! ? i : alias[i]!
  }
}
