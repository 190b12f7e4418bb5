/**
 * The library door: run a topology inside another program. The command line (main.ts) uses the same parts.
 *
 *   const plan = await loadTopology('card-fraud.yaml', process.env)
 *   const { metrics } = createMetrics()
 *   const service = await openService({ plan, clock: systemClock, log: quietLog, metrics }, signal)
 *   await service.drain()
 */
export { MillraceError, errorTable, type ErrorCode, type Reaction } from './errors.ts'
export type { Alert, ModelIdentity, Prediction, Reason, Severity } from './record/prediction.ts'
export { openService, runUntilStopped, type Service, type ServiceOptions } from './service/service.ts'
export { createLog, quietLog, type Log } from './telemetry/log.ts'
export { createMetrics, type Metrics } from './telemetry/metrics.ts'
export { systemClock } from './time/system-clock.ts'
export type { Clock } from './time/clock.ts'
export { loadTopology } from './topology/load.ts'
export { TopologyError, type Problem } from './topology/problem.ts'
export type { Plan } from './topology/plan.ts'
