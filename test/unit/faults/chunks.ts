import fc from 'fast-check'

/** Places to cut a stream at; those beyond its end count modulo its length. */
export const cutPoints = fc.array(fc.nat(2_000), { maxLength: 30 })

/** The stream in pieces, none of them empty. */
export function chunked(stream: Buffer, cuts: readonly number[]): Buffer[] {
  const places = cuts.map((cut) => cut % (stream.length + 1)).toSorted((a, b) => a - b)
  return [...places, stream.length]
    .map((place, index) => stream.subarray(index === 0 ? 0 : places[index - 1], place))
    .filter((piece) => piece.length > 0)
}
