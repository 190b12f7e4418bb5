import { readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { MillraceError } from '../errors.ts'
import { readModelFacts, type ModelFileFacts } from '../onnx/model-file.ts'
import type { ExternalData } from '../onnx/protocol.ts'
import { digestOf } from '../record/digest.ts'
import type { ModelIdentity } from '../record/prediction.ts'
import { parseBaseline, parseGolden, parseManifest } from './manifest.ts'
import type { Baseline, Golden, Manifest } from './manifest.ts'

/** A model as it lies on disk: every byte that the session will see, read once and verified. */
export interface ModelFiles {
  /** The .onnx file. */
  readonly file: string
  readonly identity: ModelIdentity
  readonly bytes: Uint8Array
  /** What the bytes say by themselves. */
  readonly facts: ModelFileFacts
  readonly externalData: readonly ExternalData[]
  /** Null for a bare .onnx. */
  readonly manifest: Manifest | null
  readonly golden: Golden | null
  readonly baseline: Baseline | null
}

/** Reads a model directory or a bare .onnx file. Throws MODEL_INVALID when something is missing or not what it says. */
export async function readModelFiles(path: string): Promise<ModelFiles> {
  const found = await stat(path).catch((error: unknown) => {
    throw new MillraceError('MODEL_INVALID', `There is no model at ${path}; correct model.path.`, {
      cause: error,
    })
  })
  return found.isDirectory() ? readDirectory(path) : readBare(path)
}

async function readBare(file: string): Promise<ModelFiles> {
  const bytes = await readRequired(file, 'It is what model.path names.')
  const digest = digestOf(bytes)
  const facts = factsOf(bytes, file)
  if (facts.externalData.length > 0) {
    throw new MillraceError(
      'MODEL_INVALID',
      `${file} keeps weights in other files (${facts.externalData.join(', ')}), which a bare .onnx may not: ` +
        'save the model as one file, or make a model directory whose manifest lists them under externalData.',
    )
  }
  const name = basename(file).replace(/\.onnx$/i, '')
  const version = digest.slice('sha256:'.length, 'sha256:'.length + bareVersionDigits)
  return {
    file,
    identity: { name, version, digest },
    bytes,
    facts,
    externalData: [],
    manifest: null,
    golden: null,
    baseline: null,
  }
}

const bareVersionDigits = 12 // as long as a short Git hash: told apart by eye, unique in practice

async function readDirectory(directory: string): Promise<ModelFiles> {
  const manifestFile = join(directory, 'manifest.yaml')
  const manifest = parseManifest(
    await readText(
      manifestFile,
      'A model directory needs one; to serve a model without it, name the .onnx file.',
    ),
    manifestFile,
  )
  const file = join(directory, 'model.onnx')
  const bytes = await readRequired(file, 'A model directory holds the model under this name.')
  const digest = digestOf(bytes)
  if (manifest.digest && manifest.digest !== digest) throw digestMismatch(file, manifest.digest, digest)
  const facts = factsOf(bytes, file)
  const golden = await readOptional(join(directory, 'golden.json'))
  const baseline = await readOptional(join(directory, 'baseline.json'))
  return {
    file,
    identity: { name: manifest.name, version: manifest.version, digest },
    bytes,
    facts,
    externalData: await readExternal(directory, file, facts.externalData, manifest),
    manifest,
    golden: golden === null ? null : parseGolden(golden, join(directory, 'golden.json')),
    baseline: baseline === null ? null : parseBaseline(baseline, join(directory, 'baseline.json')),
  }
}

async function readExternal(
  directory: string,
  file: string,
  locations: readonly string[],
  manifest: Manifest,
): Promise<ExternalData[]> {
  const read: ExternalData[] = []
  for (const location of locations) {
    const entry = manifest.externalData.find(({ path }) => path === location)
    if (!entry) {
      const text = `${file} keeps weights in ${location}, which the manifest does not list under externalData.`
      throw new MillraceError(
        'MODEL_INVALID',
        `${text} List it with its digest, or save the model as one file.`,
      )
    }
    const data = await readRequired(join(directory, location), `${file} keeps weights in it.`)
    const digest = digestOf(data)
    if (digest !== entry.digest) throw digestMismatch(join(directory, location), entry.digest, digest)
    read.push({ path: location, data })
  }
  return read
}

/** Throws MODEL_INVALID when the bytes are no ONNX model. */
function factsOf(bytes: Uint8Array, file: string): ModelFileFacts {
  const facts = readModelFacts(bytes)
  if (facts) return facts
  const begin = Buffer.from(bytes.subarray(0, 64)).toString('latin1')
  const lfs = begin.startsWith('version https://git-lfs')
  const text = lfs
    ? 'is a Git LFS pointer, not the model itself: run `git lfs pull`.'
    : whatItIs(bytes, begin)
  throw new MillraceError('MODEL_INVALID', `${file} ${text}`)
}

function whatItIs(bytes: Uint8Array, begin: string): string {
  if (bytes.length === 0) return 'is empty: export the model again.'
  const kind = otherKinds.find(([marks]) => begin.startsWith(marks))
  if (kind !== undefined) return `is ${kind[1]}, not an ONNX model: ${kind[2]}.`
  const readable = begin.slice(0, 16).replace(/[^\x20-\x7e]/g, '.')
  const size = `${bytes.length} bytes, beginning with "${readable}"`
  return `is not an ONNX model, or it was cut short (${size}): export the model to ONNX again.`
}

/** How files of other tools begin, what they are, and how to get an ONNX model. */
const otherKinds: readonly (readonly [marks: string, what: string, fix: string])[] = [
  ['PK', 'a zip archive, as torch.save and Keras write', 'use torch.onnx.export or tf2onnx'],
  ['\x80', 'a Python pickle', 'convert the model with skl2onnx or onnxmltools'],
  ['\x89HDF', 'an HDF5 file, as older Keras writes', 'convert it with tf2onnx'],
  ['\x1f\x8b', 'compressed', 'unpack it (gunzip)'],
  ['CBM1', "in CatBoost's own format", "use model.save_model(path, format='onnx')"],
  ['tree\n', "in LightGBM's own format", 'convert it with onnxmltools convert_lightgbm(..., zipmap=False)'],
  ['{', 'JSON, as XGBoost writes', 'convert the model with onnxmltools convert_xgboost'],
]

function digestMismatch(file: string, expected: string, actual: string): MillraceError {
  const text = `${file} is not the file its manifest describes: digest ${actual}, manifest ${expected}.`
  return new MillraceError(
    'MODEL_INVALID',
    `${text} Restore the file, or correct the manifest if it was replaced on purpose.`,
  )
}

async function readRequired(file: string, why: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(file)
    if (size <= fileBytesMax) return await readFile(file)
  } catch (error) {
    throw unreadable(file, error, ` ${why}`)
  }
  throw new MillraceError('MODEL_INVALID', `${file} has more than 2 GiB, ${whyTooLarge(file)}`)
}

const fileBytesMax = 2 ** 31 - 1

/** A protocol buffer, and so an ONNX file, ends there; weights beside it are read in one piece. */
function whyTooLarge(file: string): string {
  const ends = file.endsWith('.onnx')
    ? 'more than an ONNX file can hold. Keep the weights in files of their own'
    : 'more than is read from one file. Keep each tensor in a file of its own'
  return (
    `${ends}: onnx.save(model, path, save_as_external_data=True, all_tensors_to_one_file=False), and list them in the manifest ` +
    'under externalData; or make the model smaller (float16 weights, static quantisation).'
  )
}

function unreadable(file: string, error: unknown, why: string): MillraceError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
  const words: Readonly<Record<string, string>> = {
    ENOENT: 'it is not there',
    EACCES: 'this user may not read it',
    EISDIR: 'it is a directory',
  }
  return new MillraceError('MODEL_INVALID', `${file} cannot be read: ${words[code] ?? code}.${why}`, {
    cause: error,
  })
}

async function readText(file: string, why: string): Promise<string> {
  return Buffer.from(await readRequired(file, why)).toString('utf8')
}

async function readOptional(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw unreadable(file, error, '')
  }
}
