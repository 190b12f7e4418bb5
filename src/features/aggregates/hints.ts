/** What people look for and what there is: `validate` answers from it. */
import { aggregateNames, aggregateOf } from './table.ts'

interface Unsupported {
  readonly words: readonly string[]
  readonly instead: string
}

const unsupported: readonly Unsupported[] = [
  { words: ['iqr', 'mad'], instead: 'Use quantile with q: 0.75 and with q: 0.25.' },
  { words: ['skew', 'kurtosis'], instead: 'Use std, and quantile for the tails.' },
  { words: ['cv'], instead: 'Use the ratio of std and mean: {ratio: {of: …, to: …}}.' },
  { words: ['argmin', 'argmax'], instead: 'Use min or max, or secondsSinceLast with where.' },
  {
    words: ['lead', 'next'],
    instead: 'No event sees what comes after it. Use nthLast for what came before.',
  },
  { words: ['diff', 'delta'], instead: 'Use zscore or trend, or send the value and nthLast to the model.' },
  {
    words: ['topk', 'histogram', 'entropy', 'collect', 'list', 'array_agg', 'set'],
    instead: 'Use mode and modeShare, or rate with where, once for each value that matters.',
  },
  { words: ['correlation', 'corr', 'covariance', 'cov'], instead: 'Use means of x, of y and of x * y.' },
  {
    words: ['any', 'all', 'exists', 'every', 'seen', 'seenbefore'],
    instead: 'Use count with where, and compare it in a rule.',
  },
]

/** They stand for an aggregate and a condition, which is a key of its own here. */
const withCondition = /^(count|sum)if$/

/** "skew is not supported yet. Use …"; null for a word that nobody would look for. */
export function aggregateHint(written: string): string | null {
  const word = plain(written)
  const percent = /^p(\d{1,2})$/.exec(word)?.[1]
  if (percent !== undefined) return notItsName(written, `quantile with q: ${Number(percent) / 100}`)
  const conditional = withCondition.exec(word)?.[1]
  if (conditional !== undefined) return notItsName(written, `${conditional}, and the condition under where`)
  const name = aggregateNames.find(
    (known) => plain(known) === word || aggregateOf(known).aliases.some((alias) => plain(alias) === word),
  )
  if (name !== undefined) return notItsName(written, name)
  const instead = unsupported.find(({ words }) => words.some((each) => plain(each) === word))?.instead
  return instead === undefined ? null : `${written} is not supported yet. ${instead}`
}

function notItsName(written: string, name: string): string {
  return `${written} is not its name here. Write ${name}.`
}

/** `count_distinct` and `countDistinct` are one word. */
function plain(word: string): string {
  return word.toLowerCase().replaceAll('_', '')
}

/** Whether somebody who calls such a function in an expression looks for an aggregate. */
export function isAggregateWord(written: string): boolean {
  return aggregateHint(written) !== null
}
