/** Functions that people look for and that are not there: what to write instead. validate answers from it. */

interface Term {
  readonly names: readonly string[]
  readonly instead: string
  /** It is there under another name. */
  readonly known?: true
}

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

/** "sqrt is not supported yet. Use …"; null for a word that nobody would look for. */
export function notYetFunction(name: string): string | null {
  const wanted = name.toLowerCase()
  const term = functionTerms.find(({ names }) => names.includes(wanted))
  if (term === undefined) return null
  return `${name} is ${term.known === true ? 'not its name here' : 'not supported yet'}. ${term.instead}`
}
