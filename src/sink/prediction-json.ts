import type { ModelIdentity, Prediction } from '../record/prediction.ts'

/**
 * JSON of a prediction, equal to JSON.stringify character by character (a property test says so) at about half its
 * cost: names are quoted once, most text needs no escapes, the model is the same object every time.
 */
export function createPredictionJson(): (prediction: Prediction) => string {
  const modelJson = rememberLast<ModelIdentity>((model) => JSON.stringify(model))
  const names = new Map<string, string>()
  const quotedName = (name: string): string => {
    const known = names.get(name)
    if (known !== undefined) return known
    if (names.size >= namesMax) names.clear()
    const quotedOnce = `${JSON.stringify(name)}:`
    names.set(name, quotedOnce)
    return quotedOnce
  }
  const numbersJson = (numbers: Readonly<Record<string, number | null>>): string => {
    let json = ''
    for (const name of Object.keys(numbers)) {
      json += `${json === '' ? '' : ','}${quotedName(name)}${number(numbers[name] as number | null)}`
    }
    return `{${json}}`
  }
  return (p) => {
    const { position } = p
    let json =
      `{"id":${quoted(p.id)},"key":${quoted(p.key)},"occurredAt":${number(p.occurredAt)},` +
      `"scoredAt":${number(p.scoredAt)},"score":${number(p.score)},"decision":${quoted(p.decision)},` +
      `"model":${modelJson(p.model)},"flags":${p.flags.length === 0 ? '[]' : JSON.stringify(p.flags)},` +
      `"position":{"topic":${quoted(position.topic)},"partition":${position.partition},"offset":${position.offset}}`
    if (p.features !== undefined) json += `,"features":${numbersJson(p.features)}`
    if (p.values !== undefined) json += `,"values":${numbersJson(p.values)}`
    if (p.watermarks !== undefined) json += `,"watermarks":${numbersJson(p.watermarks)}`
    return `${json}}`
  }
}

/** Names of features, values and partitions; a topology has hundreds at most. */
const namesMax = 10_000

function number(value: number | null): string {
  return value !== null && Number.isFinite(value) ? `${value}` : 'null'
}

// What JSON.stringify escapes: quotes, backslashes, control characters, halves of surrogate pairs.
// eslint-disable-next-line no-control-regex -- control characters are the point
const escaped = /["\\\u0000-\u001f\ud800-\udfff]/

function quoted(text: string): string {
  return escaped.test(text) ? JSON.stringify(text) : `"${text}"`
}

function rememberLast<T extends object>(compute: (value: T) => string): (value: T) => string {
  let last: T | null = null
  let result = ''
  return (value) => {
    if (value !== last) {
      result = compute(value)
      last = value
    }
    return result
  }
}
