/** A topology file as plain values, with the place of each in the text. */
import { LineCounter, isAlias, isMap, isPair, isScalar, isSeq, parseAllDocuments } from 'yaml'
import type { Document, Node, Pair, Scalar } from 'yaml'
import { offsetInSource } from './offset.ts'
import { pathText } from './problem.ts'
import type { Path, Problem } from './problem.ts'
import { substitute } from './substitute.ts'
import type { Surroundings } from './substitute.ts'

// A topology of a thousand features has about 10 000 values. Aliases are expanded, so they could make far more.
const valuesMax = 200_000
const depthMax = 30

interface Place {
  readonly key: Node | null
  readonly value: Node | null
  /** The value differs from what the file says: an offset inside it means nothing. */
  readonly substituted: boolean
}

export interface Where {
  /** Point at the key instead of the value. */
  readonly atKey?: boolean
  /** Characters from the start of the value's text. */
  readonly offset?: number
}

/** Collects problems of one file and knows where in it every path is. */
export class TopologyDocument {
  readonly file: string
  readonly text: string
  /** Null: nothing usable. */
  value: unknown = null
  /** The text is not YAML; what is missing in it says little. */
  broken = false
  readonly #problems: Problem[] = []
  readonly #warnings: Problem[] = []
  readonly #lines = new LineCounter()
  /** Values whose references stand for nothing: what they say does not count. */
  readonly #unresolved = new Set<string>()
  readonly #places = new Map<string, Place>()
  #values = 0

  constructor(file: string, text: string, surroundings: Surroundings) {
    this.file = file
    this.text = text
    const documents = parseAllDocuments(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      logLevel: 'silent',
    })
    if ('empty' in documents) {
      this.#addAt(0, [], 'the file is empty.', 'Begin with "version: 1".')
      return
    }
    const [document, second] = documents
    for (const error of [...document!.errors, ...document!.warnings]) {
      if (error.code !== 'DUPLICATE_KEY' && error.code !== 'TAG_RESOLVE_FAILED') this.broken = true
      this.#addAt(error.pos[0], [], `${error.message}.`, yamlHint(error.code, this.#lineAt(error.pos[0])))
    }
    if (second !== undefined) {
      this.#addAt(second.range[0], [], 'a second YAML document begins here.', 'Keep one topology per file.')
    }
    this.value = this.#convert(document!, document!.contents, null, [], surroundings, 0)
  }

  /** In the order of the file. */
  get problems(): readonly Problem[] {
    return this.#problems.toSorted((a, b) => a.line - b.line || a.column - b.column)
  }

  /** What works and is probably not meant so; in the order of the file. */
  get warnings(): readonly Problem[] {
    return this.#warnings.toSorted((a, b) => a.line - b.line || a.column - b.column)
  }

  /** The value at a path, after substitution; undefined when there is none. */
  at(path: Path): unknown {
    return path.reduce<unknown>(
      (value, part) =>
        typeof value === 'object' && value !== null && Object.hasOwn(value, part)
          ? (value as Record<string | number, unknown>)[part]
          : undefined,
      this.value,
    )
  }

  add(path: Path, message: string, suggestion = '', where: Where = {}): void {
    if (this.#unresolved.has(JSON.stringify(path))) return
    this.#addAt(this.#offsetOf(path, where), path, message, suggestion)
  }

  warn(path: Path, message: string, suggestion = '', where: Where = {}): void {
    this.#addAt(this.#offsetOf(path, where), path, message, suggestion, this.#warnings)
  }

  #offsetOf(path: Path, where: Where): number {
    for (let length = path.length; length >= 0; length--) {
      const place = this.#places.get(JSON.stringify(path.slice(0, length)))
      if (place === undefined) continue
      // What is missing in a group is shown at the key of the group.
      const atKey = where.atKey === true || length < path.length || (place.value?.range ?? null) === null
      const node = atKey && place.key !== null ? place.key : (place.value ?? place.key)
      const start = node?.range?.[0] ?? 0
      const inside = !atKey && where.offset !== undefined && !place.substituted && isScalar(node)
      return inside ? offsetInSource(this.text, node, where.offset) : start
    }
    return 0
  }

  #addAt(
    offset: number,
    path: Path,
    message: string,
    suggestion: string,
    list: Problem[] = this.#problems,
  ): void {
    // A feature with several windows is checked once for each of them.
    const known = list.some((one) => one.path === pathText(path) && one.message === message)
    if (known && path.length > 0) return
    const { line, col } = this.#lines.linePos(Math.max(0, Math.min(offset, this.text.length)))
    list.push({
      file: this.file,
      line: Math.max(1, line),
      column: Math.max(1, col),
      path: pathText(path),
      message,
      suggestion,
    })
  }

  #lineAt(offset: number): string {
    const start = this.text.lastIndexOf('\n', offset - 1) + 1
    const end = this.text.indexOf('\n', offset)
    return this.text.slice(start, end < 0 ? undefined : end)
  }

  #convert(
    document: Document,
    written: Node | null,
    key: Node | null,
    path: Path,
    surroundings: Surroundings,
    depth: number,
  ): unknown {
    const node = isAlias(written) ? (written.resolve(document) ?? null) : written
    this.#places.set(JSON.stringify(path), { key, value: written, substituted: false })
    if (isAlias(written) && node === null) {
      this.add(path, `the anchor &${written.source} is not defined before this alias.`)
      return null
    }
    if (++this.#values > valuesMax || depth > depthMax) {
      if (this.#values === valuesMax + 1 || depth === depthMax + 1) {
        this.add(path, `more than ${valuesMax} values, or nested deeper than ${depthMax}.`)
      }
      return null
    }
    if (isScalar(node)) return this.#scalar(node, key, path, surroundings)
    if (isSeq(node)) {
      return node.items.map((item, i) =>
        this.#convert(document, item as Node | null, null, [...path, i], surroundings, depth + 1),
      )
    }
    if (!isMap(node)) return null
    const group: Record<string, unknown> = {}
    for (const item of node.items) {
      const name = isPair(item) ? this.#keyOf(item, path) : null
      if (name === null) continue
      const { key: keyNode, value } = item as Pair<Node, Node | null>
      group[name] = this.#convert(document, value, keyNode, [...path, name], surroundings, depth + 1)
    }
    return group
  }

  #keyOf(pair: Pair, path: Path): string | null {
    const { key } = pair
    if (
      isScalar(key) &&
      ['string', 'number', 'boolean'].includes(typeof key.value) &&
      key.value !== '__proto__'
    ) {
      return String(key.value)
    }
    // A file that is not YAML yields such keys from the pieces; the error that made them is listed already.
    const offset = (key as Node | null)?.range?.[0]
    if (!this.broken && offset !== undefined)
      this.#addAt(offset, path, 'this cannot be a key.', 'Write a name.')
    return null
  }

  #scalar(node: Scalar, key: Node | null, path: Path, surroundings: Surroundings): unknown {
    // As a double it would lose digits; whole numbers are read from text as well.
    const { source } = node
    if (
      typeof node.value === 'number' &&
      !Number.isSafeInteger(node.value) &&
      /^[-+]?\d+$/.test(source ?? '')
    )
      return source
    if (typeof node.value !== 'string') return node.value
    const { text, changed, problems } = substitute(node.value, surroundings)
    if (changed) this.#places.set(JSON.stringify(path), { key, value: node, substituted: true })
    for (const { message, suggestion } of problems) this.add(path, message, suggestion)
    if (problems.length > 0) this.#unresolved.add(JSON.stringify(path))
    return text
  }
}

function yamlHint(code: string, line: string): string {
  if (line.includes('${')) {
    return 'Inside [ ] and { }, and beside ": " or " #", put quotes around ${…}: "${env:NAME:-default}".'
  }
  switch (code) {
    case 'DUPLICATE_KEY':
      return 'Remove or rename one of the two.'
    case 'TAB_AS_INDENT':
      return 'Indent with spaces.'
    case 'BAD_SCALAR_START':
    case 'BLOCK_AS_IMPLICIT_KEY':
      return 'Put quotes around text with ": ", " #" or a special character in front.'
    case 'TAG_RESOLVE_FAILED':
      return 'Remove the tag; a text that begins with ! needs quotes.'
    default:
      return 'Check the indentation, quotes and brackets around here.'
  }
}
