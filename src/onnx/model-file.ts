/**
 * What must be known about an ONNX file before onnxruntime sees it: whether it is one, and which files beside it hold
 * weights (onnxruntime would read those from the working directory, unverified). Reads the protocol buffer by hand:
 * a few fields of github.com/onnx/onnx/blob/main/onnx/onnx.proto, everything else is skipped by its length.
 */
export interface ModelFileFacts {
  /** Locations of external data, without repetition. */
  readonly externalData: readonly string[]
}

/** Null: not an ONNX model. */
export function readModelFacts(bytes: Uint8Array): ModelFileFacts | null {
  const locations = new Set<string>()
  try {
    let hasGraph = false
    readMessage(bytes, (field, value) => {
      if (field === modelField.graph) hasGraph = true
      visitModel(field, value, locations)
    })
    return hasGraph ? { externalData: [...locations] } : null
  } catch (error) {
    if (error instanceof MalformedMessage) return null
    throw error
  }
}

const modelField = { graph: 7, functions: 25 }
const functionNode = 7
const graphField = { node: 1, initializer: 5, sparseInitializer: 15 }
const nodeAttribute = 5
const attributeField = { tensor: 5, graph: 6, tensors: 10, graphs: 11, sparseTensor: 22, sparseTensors: 23 }
const sparseField = { values: 1, indices: 2 }
const tensorExternalData = 13
const entryField = { key: 1, value: 2 }

/** Sub-graphs inside sub-graphs; deeper than any real model, and far from the end of the stack. */
const nestingMax = 100

class MalformedMessage extends Error {}

/** A field with a length as its bytes; a number as null (none of them is needed here). */
type Visit = (field: number, value: Uint8Array | null) => void

function visitModel(field: number, value: Uint8Array | null, locations: Set<string>): void {
  if (!value) return
  if (field === modelField.graph) visitGraph(value, locations, 0)
  if (field === modelField.functions) {
    readMessage(value, (inner, node) => {
      if (inner === functionNode && node) visitNode(node, locations, 0)
    })
  }
}

function visitGraph(bytes: Uint8Array, locations: Set<string>, depth: number): void {
  if (depth > nestingMax) throw new MalformedMessage()
  readMessage(bytes, (field, value) => {
    if (!value) return
    if (field === graphField.node) visitNode(value, locations, depth)
    if (field === graphField.initializer) visitTensor(value, locations)
    if (field === graphField.sparseInitializer) visitSparse(value, locations)
  })
}

function visitNode(bytes: Uint8Array, locations: Set<string>, depth: number): void {
  readMessage(bytes, (field, attribute) => {
    if (field !== nodeAttribute || !attribute) return
    readMessage(attribute, (inner, value) => {
      if (!value) return
      if (inner === attributeField.tensor || inner === attributeField.tensors) visitTensor(value, locations)
      if (inner === attributeField.graph || inner === attributeField.graphs)
        visitGraph(value, locations, depth + 1)
      if (inner === attributeField.sparseTensor || inner === attributeField.sparseTensors) {
        visitSparse(value, locations)
      }
    })
  })
}

function visitSparse(bytes: Uint8Array, locations: Set<string>): void {
  readMessage(bytes, (field, value) => {
    if (value && (field === sparseField.values || field === sparseField.indices))
      visitTensor(value, locations)
  })
}

function visitTensor(bytes: Uint8Array, locations: Set<string>): void {
  readMessage(bytes, (field, entry) => {
    if (field !== tensorExternalData || !entry) return
    let key = ''
    let text = ''
    readMessage(entry, (inner, value) => {
      if (!value) return
      if (inner === entryField.key) key = Buffer.from(value).toString('utf8')
      if (inner === entryField.value) text = Buffer.from(value).toString('utf8')
    })
    if (key === 'location') locations.add(text)
  })
}

/** Calls `visit` for every field. Wire types: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes. */
function readMessage(bytes: Uint8Array, visit: Visit): void {
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at++]
      if (byte === undefined) throw new MalformedMessage()
      value += (byte & 0x7f) * 2 ** shift // no bit operators: they stop at 32 bits
      if (byte < 0x80) return value
    }
    throw new MalformedMessage()
  }
  while (at < bytes.length) {
    const tag = varint()
    const field = Math.floor(tag / 8)
    const wire = tag % 8
    if (field === 0) throw new MalformedMessage()
    if (wire === 0) {
      varint()
      visit(field, null)
      continue
    }
    const length = wire === 2 ? varint() : wire === 1 ? 8 : wire === 5 ? 4 : Infinity
    if (length > bytes.length - at) throw new MalformedMessage()
    visit(field, wire === 2 ? bytes.subarray(at, at + length) : null)
    at += length
  }
}
