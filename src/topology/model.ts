import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { didYouMean } from '../expression/nearest.ts'
import type { ModelOptions } from '../model/options.ts'
import type { ModelPlan } from '../model/plan.ts'
import type { TopologyDocument } from './document.ts'
import type { CheckedFeatures } from './features.ts'
import { reasonOf } from './substitute.ts'

/** The model is there, and its inputs are values and features. */
export function checkModel(
  document: TopologyDocument,
  options: Partial<ModelOptions>,
  features: CheckedFeatures,
  folder: string,
  presence: 'required' | 'optional',
): void {
  if (presence === 'required' && options.path !== undefined)
    checkPresence(document, resolve(folder, options.path))
  const names = [...features.valueNames, ...features.featureNames]
  for (const [input, columns] of Object.entries(options.inputs ?? {})) {
    columns.forEach((column, i) => {
      const at = ['model', 'inputs', input, i]
      if (!features.mayBe(column)) {
        document.add(at, `there is no value or feature ${column}.`, didYouMean(column, names))
      } else if (columns.indexOf(column) < i) {
        document.add(at, `${column} is listed twice.`, 'Remove one; the order of the others is the contract.')
      }
    })
  }
}

export function compileModel(
  options: ModelOptions,
  folder: string,
): Omit<ModelPlan, 'vectorHash' | 'definitions'> {
  return {
    path: resolve(folder, options.path),
    inputs: Object.entries(options.inputs).map(([name, features]) => ({ name, features })),
    score: parseScore(options.score),
    onMissing: options.onMissing,
    workers: options.workers,
    isolation: options.isolation,
    runTimeoutMs: options.runTimeout,
  }
}

/** `probabilities[:, 1]` or `score`. */
export function parseScore(text: string): ModelPlan['score'] {
  const [, output, column] = /^([^\s[\]]+)(?:\s*\[\s*:\s*,\s*(\d+)\s*\])?$/.exec(text.trim()) ?? ['', text]
  return { output, column: column === undefined ? null : Number(column) }
}

function checkPresence(document: TopologyDocument, path: string): void {
  try {
    const found = statSync(path)
    if (found.isDirectory() || path.endsWith('.onnx')) return
    document.add(
      ['model', 'path'],
      `${path} is not a model.`,
      'Name a directory with manifest.yaml, or an .onnx file.',
    )
  } catch (error) {
    document.add(
      ['model', 'path'],
      `there is no model at ${path} (${reasonOf(error)}).`,
      'Paths are relative to the topology file; train or fetch the model first.',
    )
  }
}
