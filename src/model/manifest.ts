import { parse } from 'yaml'
import { z } from 'zod'
import { MillraceError } from '../errors.ts'

const digestText = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'must be sha256: and 64 hex digits')

const feature = z.strictObject({
  name: z.string().min(1),
  /** Smallest and largest value seen in training; for people and drift, not enforced. */
  range: z
    .tuple([z.number(), z.number()])
    .refine(([low, high]) => low <= high, 'the first number must not be above the second')
    .optional(),
  /** Stands in for a missing value; without it the record is dead-lettered. */
  missing: z.number().optional(),
})

const manifestSchema = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9._-]+$/, 'may hold letters, digits, dot, underscore and hyphen'),
  /** Text, so that 1.10 is not 1.1; a whole number is taken as written. */
  version: z.union([z.string().min(1), z.int().transform(String)]),
  /** Of model.onnx; checked when given. */
  digest: digestText.optional(),
  vectorHash: z.string().min(1),
  /** Hash of each input's definition by feature name, so that a changed one can be named. */
  definitions: z.record(z.string(), z.string()).optional(),
  inputs: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        type: z.literal('float32'),
        features: z.array(feature).min(1),
      }),
    )
    .min(1),
  score: z.strictObject({ output: z.string().min(1), column: z.int().min(0).nullable() }),
  thresholds: z.record(z.string(), z.number()).default({}),
  /** Files beside the model that hold weights. Only these may be read. */
  externalData: z
    .array(
      z.strictObject({
        path: z
          .string()
          .min(1)
          .refine((path) => !/^([/\\]|[A-Za-z]:)/.test(path), 'must be relative')
          .refine((path) => !path.split(/[/\\]/).includes('..'), 'must stay inside the folder of the model'),
        digest: digestText,
      }),
    )
    .default([]),
  training: z.record(z.string(), z.unknown()).default({}),
  metrics: z.record(z.string(), z.unknown()).default({}),
})

/** What a model directory says about its model. */
export type Manifest = z.output<typeof manifestSchema>

const goldenSchema = z.strictObject({
  /** ONNX input name → rows; every input has the same number of rows. */
  inputs: z.record(z.string(), z.array(z.array(z.number())).min(1)),
  scores: z.array(z.number()).min(1),
  /** Largest absolute difference allowed (other CPUs round differently). */
  tolerance: z.number().positive(),
})

/** Inputs with the scores that the training saw for them. */
export type Golden = z.output<typeof goldenSchema>

const histogram = z
  .strictObject({ edges: z.array(z.number()).min(2), counts: z.array(z.number().min(0)).min(1) })
  .refine(({ edges, counts }) => edges.length === counts.length + 1, 'needs one edge more than counts')
  .refine(({ edges }) => edges.every((edge, i) => i === 0 || edge > edges[i - 1]!), 'edges must ascend')

const baselineSchema = z.strictObject({
  /** Feature name → median in training; stands in for the feature when reasons are computed. */
  medians: z.record(z.string(), z.number()),
  /** Distributions in training, for drift. */
  features: z.record(z.string(), histogram).default({}),
  score: histogram.optional(),
})

export type Baseline = z.output<typeof baselineSchema>

/** Each throws MODEL_INVALID that lists all problems; `file` is named in it. */
export function parseManifest(text: string, file: string): Manifest {
  const manifest = check(manifestSchema, read(text, file, parse), file)
  const names = manifest.inputs.flatMap((input) => input.features.map(({ name }) => name))
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined)
    throw new MillraceError('MODEL_INVALID', `${file}: feature ${twice} is listed twice.`)
  return manifest
}

export function parseGolden(text: string, file: string): Golden {
  return check(goldenSchema, read(text, file, JSON.parse), file)
}

export function parseBaseline(text: string, file: string): Baseline {
  return check(baselineSchema, read(text, file, JSON.parse), file)
}

function read(text: string, file: string, parser: (text: string) => unknown): unknown {
  try {
    return parser(text)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new MillraceError('MODEL_INVALID', `${file} cannot be read: ${reason}`, { cause: error })
  }
}

function check<T>(schema: z.ZodType<T>, value: unknown, file: string): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const lines = result.error.issues.map(
    (issue) => `${z.core.toDotPath(issue.path) || 'top level'}: ${issue.message}`,
  )
  throw new MillraceError('MODEL_INVALID', `${file} has problems: ${lines.join('; ')}`)
}
