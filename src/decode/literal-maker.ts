import type { Fields } from '../record/event.ts'

type Values = readonly unknown[]

/**
 * Makes an object of the values of `names`, in their order. A literal is several times faster than members added one by one.
 * Null: too many names.
 */
export function literalMaker(names: readonly string[]): ((values: Values) => Fields) | null {
  const [a, b, c, d, e, f, g, h] = names as [string, string, string, string, string, string, string, string]
  switch (names.length) {
    case 1:
      return (v) => ({ [a]: v[0] })
    case 2:
      return (v) => ({ [a]: v[0], [b]: v[1] })
    case 3:
      return (v) => ({ [a]: v[0], [b]: v[1], [c]: v[2] })
    case 4:
      return (v) => ({ [a]: v[0], [b]: v[1], [c]: v[2], [d]: v[3] })
    case 5:
      return (v) => ({ [a]: v[0], [b]: v[1], [c]: v[2], [d]: v[3], [e]: v[4] })
    case 6:
      return (v) => ({ [a]: v[0], [b]: v[1], [c]: v[2], [d]: v[3], [e]: v[4], [f]: v[5] })
    case 7:
      return (v) => ({ [a]: v[0], [b]: v[1], [c]: v[2], [d]: v[3], [e]: v[4], [f]: v[5], [g]: v[6] })
    case 8:
      return (v) => ({
        [a]: v[0],
        [b]: v[1],
        [c]: v[2],
        [d]: v[3],
        [e]: v[4],
        [f]: v[5],
        [g]: v[6],
        [h]: v[7],
      })
    default:
      return null
  }
}
