/**
 * A histogram that counts a whole slice of events at once. prom-client's own hashes the labels and allocates on every
 * observation (about 1 µs); this one is a binary search and three additions. It is exposed by prom-client's registry,
 * which asks a metric only for `name`, `get()` and `reset()`.
 */
export class Distribution<Label extends string> {
  readonly name: string
  readonly help: string
  readonly type = 'histogram'
  readonly aggregator = 'sum'
  readonly #labels: readonly Label[]
  readonly #bounds: Float64Array
  readonly #series = new Map<
    string,
    { readonly labels: Readonly<Record<Label, string>>; readonly series: Series }
  >()

  constructor(name: string, help: string, labels: readonly Label[], buckets: readonly number[]) {
    for (let i = 1; i < buckets.length; i++) {
      if (!(buckets[i]! > buckets[i - 1]!)) throw new RangeError(`${name}: buckets must ascend`)
    }
    this.name = name
    this.help = help
    this.#labels = labels
    this.#bounds = Float64Array.from(buckets)
  }

  /** The series of these label values; keep it to observe without the look-up. */
  of(labels: Readonly<Record<Label, string>>): Series {
    const id = this.#labels.map((label) => labels[label]).join('\u0000')
    let entry = this.#series.get(id)
    if (!entry) {
      entry = { labels: { ...labels }, series: new Series(this.#bounds) }
      this.#series.set(id, entry)
    }
    return entry.series
  }

  /** What the registry prints: cumulative `_bucket`s, `_sum` and `_count` of every series. */
  get(): Promise<MetricValues> {
    const values: MetricValue[] = []
    for (const { labels, series } of this.#series.values()) {
      const { counts, sum, count } = series.snapshot()
      let below = 0
      for (let i = 0; i < this.#bounds.length; i++) {
        below += counts[i]!
        values.push({
          metricName: `${this.name}_bucket`,
          labels: { ...labels, le: this.#bounds[i]! },
          value: below,
        })
      }
      values.push({ metricName: `${this.name}_bucket`, labels: { ...labels, le: '+Inf' }, value: count })
      values.push({ metricName: `${this.name}_sum`, labels, value: sum })
      values.push({ metricName: `${this.name}_count`, labels, value: count })
    }
    return Promise.resolve({
      name: this.name,
      help: this.help,
      type: this.type,
      aggregator: this.aggregator,
      values,
    })
  }

  /** Sets every series to zero; handles stay valid. */
  reset(): void {
    for (const { series } of this.#series.values()) series.reset()
  }
}

export interface MetricValue {
  readonly metricName: string
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
}

export interface MetricValues {
  readonly name: string
  readonly help: string
  readonly type: 'histogram'
  readonly aggregator: 'sum'
  readonly values: readonly MetricValue[]
}

export interface SeriesSnapshot {
  /** Upper bounds, inclusive; one more count than bounds: the last is above all of them. */
  readonly bounds: Float64Array
  readonly counts: Float64Array
  readonly sum: number
  readonly count: number
}

/** One series of a distribution. */
export class Series {
  readonly #bounds: Float64Array
  readonly #counts: Float64Array
  #sum = 0
  #count = 0

  constructor(bounds: Float64Array) {
    this.#bounds = bounds
    this.#counts = new Float64Array(bounds.length + 1)
  }

  /** Counts one value; one that is not finite is ignored, because it would spoil the sum for good. */
  observe(value: number): void {
    if (!Number.isFinite(value)) return
    this.#counts[this.#bucketOf(value)]! += 1
    this.#sum += value
    this.#count += 1
  }

  /** Counts a slice: `values[i] * scale` each (e.g. milliseconds with scale 1e-3 into seconds). */
  observeAll(values: ArrayLike<number>, scale = 1): void {
    for (let i = 0; i < values.length; i++) this.observe(values[i]! * scale)
  }

  snapshot(): SeriesSnapshot {
    return { bounds: this.#bounds, counts: this.#counts.slice(), sum: this.#sum, count: this.#count }
  }

  reset(): void {
    this.#counts.fill(0)
    this.#sum = 0
    this.#count = 0
  }

  #bucketOf(value: number): number {
    let low = 0
    let high = this.#bounds.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (value <= this.#bounds[middle]!) high = middle
      else low = middle + 1
    }
    return low
  }
}

/** What was observed between two snapshots of the same series. */
export function difference(later: SeriesSnapshot, earlier: SeriesSnapshot): SeriesSnapshot {
  return {
    bounds: later.bounds,
    counts: later.counts.map((count, i) => count - earlier.counts[i]!),
    sum: later.sum - earlier.sum,
    count: later.count - earlier.count,
  }
}

/**
 * The q-quantile, interpolated inside its bucket as Prometheus's histogram_quantile does (a value above the last bound
 * reads as that bound). Null when nothing was observed.
 */
export function quantile(snapshot: SeriesSnapshot, q: number): number | null {
  const { bounds, counts, count } = snapshot
  if (count === 0 || bounds.length === 0) return null
  const rank = q * count
  let below = 0
  for (let i = 0; i < bounds.length; i++) {
    const inside = counts[i]!
    if (inside > 0 && below + inside >= rank) {
      const from = i === 0 ? Math.min(0, bounds[0]!) : bounds[i - 1]!
      return from + (bounds[i]! - from) * ((rank - below) / inside)
    }
    below += inside
  }
  return bounds[bounds.length - 1]!
}
