/** What people look for and what there is: `validate` answers from it. */
import { aggregateNames, aggregateOf } from './table.ts'

interface Unsupported {
  readonly words: readonly string[]
  readonly instead: string
}

const unsupported: readonly Unsupported[] = [
  {
    words: ['median', 'percentile', 'quantile', 'p50', 'p90', 'p95', 'p99', 'percentile_cont', 'iqr', 'mad'],
    instead: 'Use mean, or rate with where: the share of events above a threshold.',
  },
  {
    words: [
      'distinct',
      'nunique',
      'unique',
      'countdistinct',
      'count_distinct',
      'approx_count_distinct',
      'cardinality',
    ],
    instead: 'Use rate or count with where for the values that matter, or send the number with the event.',
  },
  {
    words: ['std', 'stddev', 'stdev', 'variance', 'var', 'zscore', 'skew', 'kurtosis', 'cv'],
    instead: 'Use two means, of x and of x * x: the variance is the second less the square of the first.',
  },
  {
    words: ['min', 'max', 'range', 'argmin', 'argmax'],
    instead: 'Use last or mean, or count with where: events beyond a threshold.',
  },
  {
    words: ['first', 'earliest', 'nth', 'lag', 'lead', 'diff', 'delta'],
    instead: 'Use last (with current: false, the value before).',
  },
  {
    words: ['ewma', 'ema', 'ewm', 'decay', 'slope', 'trend'],
    instead: 'Use mean over several windows and the ratio of two of them.',
  },
  {
    words: ['mode', 'topk', 'top', 'histogram', 'entropy', 'collect', 'list', 'array_agg', 'set'],
    instead: 'Use rate with where, once for each value that matters.',
  },
  { words: ['correlation', 'corr', 'covariance', 'cov'], instead: 'Use means of x, of y and of x * y.' },
  { words: ['any', 'all', 'exists', 'every'], instead: 'Use count with where, and compare it in a rule.' },
]

/** "median is not supported yet. Use …"; null for a word that nobody would look for. */
export function aggregateHint(written: string): string | null {
  const word = written.toLowerCase()
  const name = aggregateNames.find((known) => aggregateOf(known).aliases.includes(word))
  if (name !== undefined) return `${written} is not its name here. Write ${name}.`
  const instead = unsupported.find(({ words }) => isAmong(words, word))?.instead
  return instead === undefined ? null : `${written} is not supported yet. ${instead}`
}

/** Whether somebody who calls such a function in an expression looks for an aggregate. */
export function isAggregateWord(written: string): boolean {
  const isName = aggregateNames.some((name) => name.toLowerCase() === written.toLowerCase())
  return isName || aggregateHint(written) !== null
}

function isAmong(words: readonly string[], word: string): boolean {
  return words.includes(word) || (words.includes('p95') && /^p\d{1,2}$/.test(word))
}
