import { MillraceError } from '../errors.ts'
import { openScorer } from '../model/onnx-scorer.ts'
import type { ModelPlan } from '../model/plan.ts'
import { quietLog, type Log } from '../telemetry/log.ts'
import { systemClock } from '../time/system-clock.ts'

/** What opening a model as the service does has shown. */
export interface OpenedModel {
  /** Why the service would not serve it; null: it would. */
  readonly problem: string | null
  /** What the service cannot check of it. */
  readonly notes: readonly string[]
}

/**
 * Opens the model as the service does at its start: files, session, manifest, golden rows, rows alone and together. In a
 * process of its own, so that a crash or a hang is a message.
 */
export async function tryModel(plan: ModelPlan): Promise<OpenedModel> {
  const notes: string[] = []
  const log: Log = {
    ...quietLog,
    warn: (fields) => {
      const unchecked = 'unchecked' in fields && Array.isArray(fields.unchecked) ? fields.unchecked : []
      notes.push(...unchecked.map((what) => `the service does not check ${String(what)}`))
    },
  }
  try {
    const scorer = await openScorer({
      plan: { ...plan, workers: 1, isolation: 'process' },
      clock: systemClock,
      log,
      signal: new AbortController().signal,
    })
    await scorer.close()
    return { problem: null, notes }
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    if (error.code === 'MODEL_INVALID') return { problem: error.message, notes }
    if (error.code !== 'MODEL_PROCESS_LOST') throw error
    const text = `${plan.path} does not survive being opened and tried with sample rows: ${error.message}. ${error.remedy}`
    return { problem: text, notes }
  }
}
