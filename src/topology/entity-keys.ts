/** Keys of entities, as the sources have them that feed and read them. */
import { didYouMean } from '../expression/nearest.ts'
import type { TopologyDocument } from './document.ts'
import type { Path } from './problem.ts'
import { findField, isUnknown } from './source-fields.ts'
import type { CheckedSource } from './sources.ts'

interface EntityUses {
  readonly document: TopologyDocument
  readonly entities: Readonly<Record<string, { readonly key: readonly string[] }>>
  readonly sources: ReadonlyMap<string, CheckedSource | null>
  readonly scored: string
}

const noKeys: ReadonlySet<string> = new Set(['texts', 'numbers', 'list', 'object'])

/** Every source that feeds or reads an entity has its key, of a type that can be one. */
export function checkKeys(
  { document, entities, sources, scored }: EntityUses,
  path: Path,
  over: string,
  from: string,
): boolean {
  const at = [...path, 'over']
  for (const key of entities[over]!.key) {
    const types: string[] = []
    for (const source of new Set([scored, from])) {
      const checked = sources.get(source)
      if (!checked?.fields) continue
      const field = findField(checked.plan.codec, key)
      if (isUnknown(field)) {
        const suggestion = `Every source that feeds or reads an entity has its key. ${didYouMean(key, checked.fields.keys())}`
        document.add(at, `source ${source} has no field ${key}, the key of ${over}.`, suggestion)
        return false
      }
      if (noKeys.has(field.type)) {
        const what = field.type === 'object' ? 'an object' : 'a list'
        document.add(
          at,
          `${key}, the key of ${over}, is ${what} in ${source}, so every event would be without one.`,
          'Name text, a number or a condition.',
        )
        return false
      }
      types.push(field.type)
    }
    const [own, other] = types
    if (own === undefined || other === undefined || own === other || types.includes('any')) continue
    document.warn(
      at,
      `${key}, the key of ${over}, is ${own} in ${scored} and ${other} in ${from}: they are one where the digits are ("7" and 7, not "007").`,
      'Send the same type in both.',
    )
  }
  return true
}
