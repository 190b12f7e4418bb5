/**
 * What must be known about an ONNX file before onnxruntime sees it: whether it is one, which files beside it hold weights
 * (onnxruntime would read those from the working directory, unverified), and what it is made of, to say in words why it
 * cannot be used. A few fields of github.com/onnx/onnx/blob/main/onnx/onnx.proto; everything else is skipped.
 */
import { MalformedMessage, readMessage, textOfField } from './protocol-buffer.ts'

export interface ModelFileFacts {
  /** Locations of external data, without repetition. */
  readonly externalData: readonly string[]
  readonly irVersion: number
  /** The converter, such as `skl2onnx`; may be empty. */
  readonly producer: string
  /** Domain → version of its operators; the empty domain is ONNX's own. */
  readonly opsets: ReadonlyMap<string, number>
  /** Of the graph, its sub-graphs and its functions. */
  readonly nodes: readonly ModelNode[]
  /** `domain:name` of operators that the model defines itself. */
  readonly functions: ReadonlySet<string>
  /** Some numbers in it have 16 bits: results are rounded far more. */
  readonly halfPrecision: boolean
}

export interface ModelNode {
  readonly type: string
  readonly domain: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** `axis`, `axes` and `training_mode`, as far as they are written. */
  readonly attributes: ReadonlyMap<string, readonly number[]>
}

/** Null: not an ONNX model. */
export function readModelFacts(bytes: Uint8Array): ModelFileFacts | null {
  const found = new Found()
  try {
    readMessage(bytes, (field, value) => visitModel(field, value, found))
    return found.hasGraph ? found : null
  } catch (error) {
    if (error instanceof MalformedMessage) return null
    throw error
  }
}

const modelField = { irVersion: 1, producer: 2, graph: 7, opset: 8, functions: 25 }
const opsetField = { domain: 1, version: 2 }
const functionField = { name: 1, node: 7, domain: 10 }
const graphField = { node: 1, initializer: 5, sparseInitializer: 15 }
const nodeField = { input: 1, output: 2, type: 4, attribute: 5, domain: 7 }
const attributeField = {
  name: 1,
  int: 3,
  tensor: 5,
  graph: 6,
  ints: 8,
  tensors: 10,
  graphs: 11,
  sparseTensor: 22,
  sparseTensors: 23,
}
const sparseField = { values: 1, indices: 2 }
const tensorField = { type: 2, externalData: 13 }
const entryField = { key: 1, value: 2 }

/** TensorProto.DataType: FLOAT16 and BFLOAT16. */
const halfTypes: ReadonlySet<number> = new Set([10, 16])
const keptAttributes: ReadonlySet<string> = new Set(['axis', 'axes', 'training_mode'])

/** Sub-graphs inside sub-graphs; deeper than any real model, and far from the end of the stack. */
const nestingMax = 100

class Found implements ModelFileFacts {
  hasGraph = false
  irVersion = 0
  producer = ''
  halfPrecision = false
  readonly opsets = new Map<string, number>()
  readonly nodes: ModelNode[] = []
  readonly functions = new Set<string>()
  readonly #locations = new Set<string>()
  get externalData(): readonly string[] {
    return [...this.#locations]
  }
  keptOutside(location: string): void {
    this.#locations.add(location)
  }
}

function visitModel(field: number, value: Uint8Array | number | null, found: Found): void {
  if (field === modelField.irVersion && typeof value === 'number') found.irVersion = value
  if (!(value instanceof Uint8Array)) return
  if (field === modelField.producer) found.producer = textOfField(value)
  if (field === modelField.opset) visitOpset(value, found)
  if (field === modelField.functions) visitFunction(value, found)
  if (field !== modelField.graph) return
  found.hasGraph = true
  visitGraph(value, found, 0)
}

function visitOpset(bytes: Uint8Array, found: Found): void {
  let domain = ''
  let version = 0
  readMessage(bytes, (field, value) => {
    if (field === opsetField.domain) domain = textOfField(value)
    if (field === opsetField.version && typeof value === 'number') version = value
  })
  found.opsets.set(domain === 'ai.onnx' ? '' : domain, version)
}

function visitFunction(bytes: Uint8Array, found: Found): void {
  let name = ''
  let domain = ''
  readMessage(bytes, (field, value) => {
    if (field === functionField.name) name = textOfField(value)
    if (field === functionField.domain) domain = textOfField(value)
    if (field === functionField.node && value instanceof Uint8Array) visitNode(value, found, 0)
  })
  found.functions.add(`${domain}:${name}`)
}

function visitGraph(bytes: Uint8Array, found: Found, depth: number): void {
  if (depth > nestingMax) throw new MalformedMessage()
  readMessage(bytes, (field, value) => {
    if (!(value instanceof Uint8Array)) return
    if (field === graphField.node) visitNode(value, found, depth)
    if (field === graphField.initializer) visitTensor(value, found)
    if (field === graphField.sparseInitializer) visitSparse(value, found)
  })
}

function visitNode(bytes: Uint8Array, found: Found, depth: number): void {
  const inputs: string[] = []
  const outputs: string[] = []
  const attributes = new Map<string, number[]>()
  let type = ''
  let domain = ''
  readMessage(bytes, (field, value) => {
    if (field === nodeField.input) inputs.push(textOfField(value))
    if (field === nodeField.output) outputs.push(textOfField(value))
    if (field === nodeField.type) type = textOfField(value)
    if (field === nodeField.domain) domain = textOfField(value)
    if (field === nodeField.attribute && value instanceof Uint8Array)
      visitAttribute(value, attributes, found, depth)
  })
  found.nodes.push({ type, domain: domain === 'ai.onnx' ? '' : domain, inputs, outputs, attributes })
}

function visitAttribute(
  bytes: Uint8Array,
  attributes: Map<string, number[]>,
  found: Found,
  depth: number,
): void {
  let name = ''
  const numbers: number[] = []
  readMessage(bytes, (field, value) => {
    if (field === attributeField.name) name = textOfField(value)
    if (typeof value === 'number') {
      // The trees of a forest are such lists, of millions of numbers.
      const isNumber = field === attributeField.int || field === attributeField.ints
      if (isNumber && numbers.length < numbersMax) numbers.push(value)
      return
    }
    if (!value) return
    if (field === attributeField.tensor || field === attributeField.tensors) visitTensor(value, found)
    if (field === attributeField.graph || field === attributeField.graphs) visitGraph(value, found, depth + 1)
    if (field === attributeField.sparseTensor || field === attributeField.sparseTensors)
      visitSparse(value, found)
  })
  if (keptAttributes.has(name)) attributes.set(name, numbers)
  if (name === 'to' && numbers.some((type) => halfTypes.has(type))) found.halfPrecision = true
}

const numbersMax = 8 // as many axes as a tensor has at most

function visitSparse(bytes: Uint8Array, found: Found): void {
  readMessage(bytes, (field, value) => {
    if (value instanceof Uint8Array && (field === sparseField.values || field === sparseField.indices))
      visitTensor(value, found)
  })
}

function visitTensor(bytes: Uint8Array, found: Found): void {
  readMessage(bytes, (field, entry) => {
    if (field === tensorField.type && typeof entry === 'number' && halfTypes.has(entry))
      found.halfPrecision = true
    if (field !== tensorField.externalData || !(entry instanceof Uint8Array)) return
    let key = ''
    let text = ''
    readMessage(entry, (inner, value) => {
      if (inner === entryField.key) key = textOfField(value)
      if (inner === entryField.value) text = textOfField(value)
    })
    if (key === 'location') found.keptOutside(text)
  })
}
