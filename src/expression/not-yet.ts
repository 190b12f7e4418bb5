/** Terms of the field that people look for and that are not there: what to write instead. validate answers from it. */

interface Term {
  readonly names: readonly string[]
  readonly instead: string
  /** It is there under another name. */
  readonly known?: true
}

const aggregateTerms: readonly Term[] = [
  {
    names: ['median', 'percentile', 'quantile', 'p50', 'p90', 'p95', 'p99', 'percentile_cont', 'iqr', 'mad'],
    instead: 'Use mean, or rate with where: the share of events above a threshold.',
  },
  {
    names: [
      'distinct',
      'nunique',
      'unique',
      'countdistinct',
      'count_distinct',
      'approx_count_distinct',
      'cardinality',
      'uniq',
      'hll',
    ],
    instead: 'Use rate or count with where for the values that matter, or send the number with the event.',
  },
  {
    names: ['std', 'stddev', 'stdev', 'variance', 'var', 'zscore', 'skew', 'kurtosis', 'cv'],
    instead: 'Use two means, of x and of x * x: the variance is the second less the square of the first.',
  },
  {
    names: ['min', 'max', 'range', 'argmin', 'argmax'],
    instead: 'Use last or mean, or count with where: events beyond a threshold.',
  },
  {
    names: ['first', 'first_value', 'earliest', 'nth', 'lag', 'lead', 'diff', 'delta'],
    instead: 'Use last (with current: false, the value before).',
  },
  {
    names: ['ewma', 'ema', 'ewm', 'decay', 'slope', 'trend'],
    instead: 'Use mean over several windows and the ratio of two of them.',
  },
  {
    names: ['mode', 'topk', 'top', 'histogram', 'entropy', 'collect', 'list', 'array_agg', 'set'],
    instead: 'Use rate with where, once for each value that matters.',
  },
  { names: ['correlation', 'corr', 'covariance', 'cov'], instead: 'Use means of x, of y and of x * y.' },
  { names: ['any', 'all', 'exists', 'every'], instead: 'Use count with where, and compare it in a rule.' },
  { names: ['avg', 'average'], instead: 'Write mean.', known: true },
  {
    names: ['count_if', 'countif', 'sum_if', 'sumif'],
    instead: 'Write count or sum, and the condition under where.',
    known: true,
  },
  { names: ['total', 'add'], instead: 'Write sum.', known: true },
  { names: ['latest', 'newest', 'lastvalue', 'last_value'], instead: 'Write last.', known: true },
  { names: ['share', 'fraction', 'proportion'], instead: 'Write rate.', known: true },
  {
    names: ['recency', 'timesincelast', 'time_since_last', 'age'],
    instead: 'Write secondsSinceLast.',
    known: true,
  },
]

const functionTerms: readonly Term[] = [
  {
    names: ['sqrt', 'cbrt'],
    instead: 'Compare x with the square (x > 9 instead of sqrt(x) > 3), or use log(x).',
  },
  { names: ['pow', 'power', 'square'], instead: 'Write x * x.' },
  {
    names: ['exp', 'expm1', 'sigmoid', 'tanh'],
    instead: 'Compare logarithms: x > log(y) instead of exp(x) > y.',
  },
  {
    names: ['log2', 'log10', 'log1p', 'ln'],
    instead: 'Write log(x) / 2.302585092994046 for log10, log(1 + x) for log1p; log is the natural one.',
  },
  { names: ['floor', 'trunc'], instead: 'Write int(x), which drops what is behind the point.' },
  { names: ['round', 'rint'], instead: 'Write int(x + 0.5) for x of 0 or more.' },
  { names: ['ceil', 'ceiling'], instead: 'Write x > int(x) ? int(x) + 1 : int(x) for x of 0 or more.' },
  { names: ['clip', 'clamp'], instead: 'Write min(max(x, low), high).', known: true },
  { names: ['sign', 'signum'], instead: 'Write x > 0 ? 1.0 : -1.0.' },
  { names: ['mod'], instead: 'Write x % y.', known: true },
  {
    names: ['sin', 'cos', 'tan', 'asin', 'acos', 'atan', 'atan2', 'haversine', 'distance'],
    instead: 'Send it with the event, or give sine and cosine as a table of conditions.',
  },
  {
    names: ['now', 'today', 'current_timestamp'],
    instead: 'An expression sees the event alone: use the time field, and secondsSinceLast for ages.',
  },
  { names: ['hour', 'gethour', 'hourofday'], instead: 'Write hourUtc(ts).', known: true },
  { names: ['minute'], instead: 'Write minuteUtc(ts).', known: true },
  {
    names: ['weekday', 'dayofweek', 'dow', 'isweekend', 'is_weekend'],
    instead: 'Write weekdayUtc(ts); 5 and 6 are Saturday and Sunday.',
    known: true,
  },
  { names: ['len', 'length', 'strlen', 'count'], instead: 'Write size(x).', known: true },
  { names: ['lower', 'tolowercase', 'lowercase'], instead: 'Write x.lowerAscii().', known: true },
  { names: ['upper', 'touppercase', 'uppercase'], instead: 'Write x.upperAscii().', known: true },
  { names: ['substr', 'left', 'right', 'mid'], instead: 'Write x.substring(0, 3).', known: true },
  { names: ['isnull', 'is_null', 'isna', 'isnan', 'ismissing'], instead: 'Write x == null.', known: true },
  {
    names: ['coalesce', 'ifnull', 'nvl', 'fillna', 'default'],
    instead: 'Write has(x) ? x : 0.0.',
    known: true,
  },
  { names: ['concat'], instead: 'Write a + b.', known: true },
  {
    names: ['hash', 'md5', 'sha256', 'crc32'],
    instead: 'Compare the text itself, or send the hash with the event.',
  },
  {
    names: ['like', 'regexp', 'regex', 'rlike'],
    instead: 'Write x.matches("^ab") or x.startsWith("ab").',
    known: true,
  },
  {
    names: ['bucket', 'bin', 'cut', 'qcut', 'digitize'],
    instead: 'Write conditions: x < 10 ? 0.0 : x < 100 ? 1.0 : 2.0.',
  },
  {
    names: ['onehot', 'one_hot', 'get_dummies', 'encode'],
    instead: 'Write one value for each: is_food: category == "food".',
  },
  {
    names: ['random', 'rand', 'uuid'],
    instead: 'The same event must give the same number: use a field of it.',
  },
]

/** "median is not supported yet. Use …"; null for a word that nobody would look for. */
export function notYetAggregate(name: string): string | null {
  return answer(aggregateTerms, name)
}

export function notYetFunction(name: string): string | null {
  const own = answer(functionTerms, name)
  if (own !== null) return own
  const isAggregate =
    find(aggregateTerms, name) !== null || ['sum', 'mean', 'rate', 'last'].includes(name.toLowerCase())
  return isAggregate
    ? `${name} is no function of one event. Windows are features: features: {x: {over: …, aggregate: …, window: 1d}}.`
    : null
}

function answer(terms: readonly Term[], name: string): string | null {
  const term = find(terms, name)
  if (term === null) return null
  return `${name} is ${term.known === true ? 'not its name here' : 'not supported yet'}. ${term.instead}`
}

function find(terms: readonly Term[], name: string): Term | null {
  const wanted = name.toLowerCase()
  return (
    terms.find(
      ({ names }) => names.includes(wanted) || (names.includes('p95') && /^p\d{1,2}$/.test(wanted)),
    ) ?? null
  )
}
