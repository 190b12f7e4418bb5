import { addRun, costOf, emptyFit } from './fit.ts'
import type { Cost, Fit } from './fit.ts'
import type { BatchPlan } from './plan.ts'

/**
 * How many rows the next batch may have. Pure: time comes in with the observation. It never asks to wait for more rows:
 * with measured costs, scoring what is there beat every waiting policy on median and p99 at equal load.
 */
export interface PolicyState {
  readonly plan: BatchPlan
  readonly fit: Fit
  readonly runs: number
  /** Halved by a miss, raised by a success; rows. */
  readonly limit: number
}

export interface PolicyObservation {
  /** Arrival of the oldest row that waits now, on the clock of `nowMs`; null: none waits. */
  readonly oldestAtMs: number | null
  /** A run that has just ended; null: nothing new. */
  readonly run: RunObservation | null
}

export interface RunObservation {
  readonly rows: number
  /** From the arrival of its oldest row to its dispatch, ms. */
  readonly waitedMs: number
  /** From dispatch to scores, ms. */
  readonly tookMs: number
}

export interface PolicyDecision {
  readonly state: PolicyState
  /** Rows of the next batch at most; 1 … rowsMax. */
  readonly sizeTarget: number
  /** Always 0: nothing is gained by waiting. */
  readonly waitMs: 0
}

const runsIgnored = 5 // the first runs are 2 to 5 times slower than the rest
const limitFirst = 256 // until something is learned: below 5 ms with 500 trees
const targetShare = 0.9 // the rest is for the way back of the scores
const limitGrowth = 1.1
const overheadShareMax = 0.05

export function startPolicy(plan: BatchPlan): PolicyState {
  return { plan, fit: emptyFit, runs: 0, limit: Math.min(limitFirst, plan.rowsMax) }
}

export function nextPolicy(
  before: PolicyState,
  observation: PolicyObservation,
  nowMs: number,
): PolicyDecision {
  const state = observation.run ? learn(before, observation.run) : before
  const { oldestAtMs } = observation
  const queueWaitMs = oldestAtMs === null ? 0 : Math.max(0, nowMs - oldestAtMs)
  return { state, sizeTarget: sizeTarget(state, queueWaitMs), waitMs: 0 }
}

/** The fit and the limit after a run. Times that are not finite or negative (a clock that was set) teach nothing. */
function learn(state: PolicyState, { rows, waitedMs, tookMs }: RunObservation): PolicyState {
  const { targetMs, rowsMax } = state.plan
  if (!(rows >= 1 && waitedMs >= 0 && tookMs >= 0 && Number.isFinite(waitedMs + tookMs))) return state
  const runs = state.runs + 1
  if (runs <= runsIgnored) return { ...state, runs }
  const missed = waitedMs + tookMs > targetMs
  const fit = addRun(state.fit, rows, tookMs)
  const limit = missed ? state.limit / 2 : state.limit * limitGrowth
  return { ...state, runs, fit, limit: clamp(limit, efficientRows(costOf(fit)!), rowsMax) }
}

function sizeTarget({ plan, fit, limit }: PolicyState, queueWaitMs: number): number {
  const cost = costOf(fit)
  if (!cost) return Math.floor(limit)
  const inTime = (targetShare * plan.targetMs - cost.a - queueWaitMs) / cost.b
  return Math.floor(clamp(Math.min(limit, inTime), efficientRows(cost), plan.rowsMax))
}

/**
 * Rows (≥ 1) below which the cost of a run as such is more than a twentieth of it. Late rows do not become less late in smaller
 * batches, but the next ones become later: without this floor a backlog drives the cap to 1 and then never clears.
 */
function efficientRows({ a, b }: Cost): number {
  return Math.max(1, (a / b) * (1 / overheadShareMax - 1))
}

/** `high` wins over `low`. */
function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high)
}
