import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import type { ModelPlan } from '../../src/model/plan.ts'

/** Path of a committed model, made by test/fixtures/models/make.py. */
export function modelFile(name: string): string {
  return fileURLToPath(new URL(`../fixtures/models/${name}`, import.meta.url))
}

export function modelBytes(name: string): Uint8Array {
  return readFileSync(modelFile(name))
}

/** A plan for a model with three features in one input; `score` defaults to the output of the hand-made models. */
export function modelPlan(change: Partial<ModelPlan> = {}): ModelPlan {
  return {
    path: modelFile('linear.onnx'),
    inputs: [{ name: 'features', features: ['amount', 'night', 'count'] }],
    score: { output: 'score', column: null },
    onMissing: 'dead-letter',
    workers: 1,
    isolation: 'thread',
    runTimeoutMs: 60_000,
    vectorHash: 'hash-of-the-topology',
    definitions: {},
    ...change,
  }
}

/** A manifest that fits `modelPlan()` and linear.onnx. */
export const linearManifest = {
  name: 'linear',
  version: '3',
  vectorHash: 'hash-of-the-topology',
  inputs: [
    {
      name: 'features',
      type: 'float32',
      features: [{ name: 'amount', range: [0, 5000] }, { name: 'night' }, { name: 'count', missing: -1 }],
    },
  ],
  score: { output: 'score', column: null },
}

/** linear.onnx is x0 + 2 x1 + 3 x2. */
export const linearGolden = {
  inputs: {
    features: [
      [1, 0, 0],
      [0, 1, 1],
      [2, 2, 2],
    ],
  },
  scores: [1, 5, 12],
  tolerance: 1e-6,
}

export const linearBaseline = { medians: { amount: 20, night: 0, count: 2 } }

/** A model directory in a temporary folder, gone after `await using`. Objects are written as YAML or JSON by name. */
export async function modelDirectory(
  model: string,
  files: Readonly<Record<string, unknown>>,
): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'millrace-model-'))
  await cp(modelFile(model), join(path, 'model.onnx'))
  for (const [name, content] of Object.entries(files)) {
    const plain = typeof content === 'string' || content instanceof Uint8Array
    await writeFile(
      join(path, name),
      plain ? content : name.endsWith('.yaml') ? stringify(content) : JSON.stringify(content),
    )
  }
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
