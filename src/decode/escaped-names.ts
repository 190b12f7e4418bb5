/**
 * V8's JSON.parse can misread a member name that is written with an escape (nodejs/node#63785): after `{"a":0,"\\":0}` the
 * name in `{"a":0,"\n":0}` comes out as a backslash. It compares the text of the name, as far as the name is long, with
 * the name that followed last time, without looking at escapes. A misread name so always holds a backslash, which true
 * names hardly ever do: such values are read again, each object behind a member of its own, which nothing has followed.
 */

/** Mark of the additional members; a private use character, and a number that never comes again. */
const mark = '\uE5CA'
let marks = 0

/** Null: it was read as it is written. */
export function rewritten(text: string, parsed: unknown): string | null {
  if (!text.includes('\\') || !namesBackslash(parsed)) return null
  return text.replace(/"(?:[^"\\]|\\.)*"|\{(\s*\})?/gs, (found, empty?: string) =>
    found.startsWith('{') && empty === undefined ? `{"${mark}${marks++}":0,` : found,
  )
}

function namesBackslash(root: unknown): boolean {
  for (const at of objectsIn(root)) {
    if (!Array.isArray(at) && Object.keys(at).some((name) => name.includes('\\'))) return true
  }
  return false
}

/** Takes the additional members out again, in place. */
export function unmarked(root: unknown): unknown {
  for (const at of objectsIn(root)) {
    const first = Object.keys(at).find((name) => name.startsWith(mark))
    if (first !== undefined) Reflect.deleteProperty(at, first)
  }
  return root
}

/** No recursion: JSON.parse reads any depth. */
function* objectsIn(root: unknown): Generator<object> {
  const pending = [root]
  while (pending.length > 0) {
    const at = pending.pop()
    if (typeof at !== 'object' || at === null) continue
    yield at
    for (const inner of Object.values(at)) pending.push(inner)
  }
}
