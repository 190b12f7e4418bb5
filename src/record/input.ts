/** One partition of one source topic: the unit of ownership, of the transaction and of recovery. */
export interface InputPartition {
  readonly source: string
  readonly topic: string
  readonly partition: number
}

/** Separator that topic names cannot contain, so joined names are unambiguous. */
export const nameSeparator = '|'

/** Name of an input partition in watermark maps and metrics: `topic:partition`. */
export function inputName(input: { topic: string; partition: number }): string {
  return `${input.topic}:${input.partition}`
}

/** The partition that `inputName` names. */
export function partitionOf(name: string): { readonly topic: string; readonly partition: number } {
  const colon = name.lastIndexOf(':')
  return { topic: name.slice(0, colon), partition: Number(name.slice(colon + 1)) }
}
