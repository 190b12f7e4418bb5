import type { Layout } from './compiled.ts'
import type { PartKey } from './store.ts'

/** Where a part lies within its bucket, in Redis and in the store in memory alike. */
export interface PartPlace {
  /** Name of the key, without namespace and bucket. */
  readonly key: string
  /** The key is a hash with one field per input; otherwise it is the part itself. */
  readonly shared: boolean
}

/** The share of `inputName`, or, of a shared layout, the shares of all inputs. */
export function placeOf(
  layouts: readonly Layout[],
  { layout, entityKey }: PartKey,
  inputName: string,
): PartPlace {
  return layouts[layout]?.shared === true
    ? { key: `m:${layout}:${entityKey}`, shared: true }
    : { key: `p:${layout}:${inputName}:${entityKey}`, shared: false }
}
