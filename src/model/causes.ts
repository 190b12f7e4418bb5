/** Why a model does not do what is asked of it, and how to mend that: read out of what the model is made of. */
import type { ModelFileFacts, ModelNode } from '../onnx/model-file.ts'

interface Suspect {
  /** Null: not this one. */
  readonly matches: (node: ModelNode, opset: number) => boolean
  /** `names`: operators that match. */
  readonly say: (names: string) => string
}

const chance: ReadonlySet<string> = new Set(['RandomNormal', 'RandomNormalLike', 'RandomUniform', 'RandomUniformLike', 'Multinomial', 'Bernoulli']) // prettier-ignore
const alongAxis: ReadonlySet<string> = new Set(['Softmax', 'LogSoftmax', 'Hardmax', 'LayerNormalization', 'LpNormalization', 'TopK', 'ArgMax', 'ArgMin']) // prettier-ignore
const recurrent: ReadonlySet<string> = new Set(['RNN', 'GRU', 'LSTM', 'Scan'])
const isReduction = ({ type }: ModelNode): boolean => type.startsWith('Reduce')

/** Surest first: those that cannot be right are named alone. */
const suspects: readonly Suspect[] = [
  {
    matches: ({ type }) => chance.has(type),
    say: (names) =>
      `It draws random numbers (${names}): export the model without the layer that does, or with its mean in place of a draw.`,
  },
  {
    matches: ({ type, attributes, inputs, outputs }, opset) =>
      (type === 'BatchNormalization' &&
        (attributes.get('training_mode')?.[0] === 1 || (opset < 14 && outputs.filter(Boolean).length > 1))) ||
      (type === 'Dropout' && (inputs[2] ?? '') !== ''),
    say: (names) =>
      `It was exported in training mode (${names}): call model.eval() before torch.onnx.export, or leave out training=TrainingMode.TRAINING (Keras: training=False).`,
  },
  {
    matches: ({ type }) => type.startsWith('DynamicQuantize'),
    say: (names) =>
      `It is quantised dynamically (${names}), with a scale taken from each batch: use static quantisation (onnxruntime.quantization.quantize_static with rows of the training as calibration data), or serve the float32 model.`,
  },
  {
    matches: (node) => {
      const axes = node.attributes.get(isReduction(node) ? 'axes' : 'axis') ?? []
      return (isReduction(node) || alongAxis.has(node.type)) && axes.some((a) => a === 0 || a === -2)
    },
    say: (names) =>
      `It works along the first axis, which is the batch (${names} over axis 0): use the axis of the features, 1 or -1.`,
  },
  {
    matches: ({ type }) => recurrent.has(type),
    say: (names) =>
      `It takes the rows for the steps of one sequence (${names}): give each row a sequence of its own (PyTorch: batch_first=True and an input [N, steps, features]).`,
  },
  {
    matches: (node) =>
      [
        'CumSum',
        'MeanVarianceNormalization',
        'InstanceNormalization',
        'Softmax',
        'LogSoftmax',
        'Dropout',
      ].includes(node.type) ||
      (isReduction(node) && !node.attributes.has('axes')),
    say: (names) =>
      `The likely place: ${names}. Sums, means and norms must go over the features (axis 1), with constants of the training, not over the batch.`,
  },
]

/** The likely cause of scores that change with the rest of the batch. */
export function dependenceCause({ nodes, opsets }: ModelFileFacts): string {
  const opset = opsets.get('') ?? 0
  for (const { matches, say } of suspects) {
    const found = new Set(nodes.filter((node) => matches(node, opset)).map(({ type }) => type))
    if (found.size > 0) return say([...found].join(', '))
  }
  return 'Look for a mean, a softmax or a norm over the first axis, which is the batch, for dropout (export after model.eval()) and for attention between rows.'
}

/** Domains whose operators onnxruntime has. */
const knownDomains: ReadonlySet<string> = new Set([
  '',
  'ai.onnx.ml',
  'ai.onnx.training',
  'ai.onnx.preview',
  'ai.onnx.preview.training',
  'com.microsoft',
  'com.microsoft.nchwc',
  'com.microsoft.experimental',
  'com.ms.internal.nhwc',
])

/** Words for what onnxruntime says when it refuses a model; its own where there are none. */
export function loadRefusal(facts: ModelFileFacts, message: string): string {
  const ir = /Unsupported model IR version: (\d+), max supported IR version: (\d+)/.exec(message)
  if (ir) {
    return (
      `it has IR version ${ir[1]}, and this onnxruntime takes up to ${ir[2]}. Save it with a lower one: ` +
      `m = onnx.load(path); m.ir_version = ${ir[2]}; onnx.save(m, path).`
    )
  }
  const opset = /Opset (\d+) is under development.*support for domain (\S+) is till opset (\d+)/s.exec(
    message,
  )
  if (opset) {
    const [, has, domain, most] = opset
    const how =
      domain === 'ai.onnx'
        ? `torch.onnx.export(opset_version=${Math.min(Number(most), convenientOpset)}), skl2onnx target_opset=${Math.min(Number(most), convenientOpset)}`
        : `skl2onnx target_opset={'': ${convenientOpset}, '${domain}': ${most}}`
    return `it uses operator set ${has} of ${domain}, and this onnxruntime takes up to ${most}. Export it with a lower one: ${how}.`
  }
  const foreign = facts.nodes.filter(
    ({ type, domain }) => !knownDomains.has(domain) && !facts.functions.has(`${domain}:${type}`),
  )
  if (foreign.length > 0) {
    const names = [...new Set(foreign.map(({ type, domain }) => `${type} of ${domain}`))].join(', ')
    return `it uses operators that are not part of ONNX: ${names}. Libraries of custom operators are not loaded: export the model with standard operators.`
  }
  if (facts.opsets.size === 0)
    return 'it does not say which operator set it uses: it was cut short, or put together by hand. Export it again.'
  const lacking =
    /(?:Could not find an implementation for|No Op registered for|No opset import.*?for) (\S+?)(?:\(\d+\))? /.exec(
      message,
    )
  if (lacking) {
    const own = facts.opsets.get('')
    const said = own === undefined ? '' : ` (its operator set is ${own})`
    return `its operator ${lacking[1]} is not one that onnxruntime can run on a CPU${said}: ${plainly(message)} Export the model with another operator set (target_opset, opset_version) or in float32.`
  }
  return plainly(message)
}

const convenientOpset = 17 // read by every onnxruntime since 2022, and written by every converter

/** Without the place in onnxruntime's own sources. */
export function plainly(message: string): string {
  return message
    .replace(/^Load model from \S+ failed: ?/, '')
    .replace(/\/onnxruntime_src\/\S+:\d+ .*?\)(?: const)? (?=\S)/gs, '')
    .replace(
      /Non-zero status code returned while running (\S+) node\. Name:'([^']*)' Status Message: /g,
      (_, type: string, name: string) => `its ${type} ${name === '' ? '' : `"${name}" `}fails: `,
    )
    .replace(/^(?:Fatal error|This is an invalid model)[.:] /, '')
    .replace(/\s+/g, ' ')
    .trim()
}

/** How to get numbers out of a model whose output is a sequence or map. */
export function sequenceFix(facts: ModelFileFacts, output: string): string {
  const maker = facts.nodes.find(({ outputs }) => outputs.includes(output))
  if (maker !== undefined && maker.type !== 'ZipMap')
    return `It is made by ${maker.type}: export the tensor that goes into it (${maker.inputs.join(', ')}) as the output instead.`
  const tensor = maker?.inputs[0] ?? 'probability_tensor'
  const options: Readonly<Record<string, string>> = {
    skl2onnx: "Convert it again without: skl2onnx options={'zipmap': False}. Or remove the node: ",
    OnnxMLTools:
      'Convert it again without: onnxmltools convert_lightgbm(..., zipmap=False). Or remove the node: ',
    CatBoost: 'CatBoost has no option that leaves it out: remove the node: ',
  }
  const either =
    "Convert it again without (skl2onnx options={'zipmap': False}; onnxmltools convert_lightgbm(..., zipmap=False)), or remove the node, as with CatBoost, which has no such option: "
  return `${options[facts.producer] ?? either}${removeZipMap(output, tensor)} Then write model.score as "${tensor}[:, 1]".`
}

function removeZipMap(output: string, tensor: string): string {
  return (
    `python3 -c "import onnx; m = onnx.load('in.onnx'); g = m.graph; ` +
    `z = next(n for n in g.node if '${output}' in n.output); o = next(o for o in g.output if o.name == '${output}'); ` +
    `g.node.remove(z); g.output.remove(o); ` +
    `g.output.append(onnx.helper.make_tensor_value_info('${tensor}', onnx.TensorProto.FLOAT, None)); onnx.save(m, 'out.onnx')".`
  )
}
