import type { Log } from '../telemetry/log.ts'
import type { Clock } from '../time/clock.ts'
import { withTimeout } from '../time/deadline.ts'

/** A started process that runs the topology as one member of the group. */
export interface MemberProcess {
  readonly pid: number
  readonly ended: Promise<MemberExit>
  /** Asks it to drain. */
  stop(): void
  /** SIGKILL. */
  kill(): void
}

export interface MemberExit {
  readonly code: number | null
  readonly signal: string | null
}

export interface MembersOptions {
  readonly count: number
  readonly start: (index: number) => MemberProcess
  readonly clock: Clock
  readonly log: Log
  /** How long a member may take to drain. */
  readonly drainMaxMs: number
}

export const backOffFirstMs = 500
export const backOffMaxMs = 30_000
/** Whoever ran for this long starts with a short back-off again. */
const steadyMs = 60_000

/** Wrong usage, failed assertion, not authorised: the same again after a restart, and for the other members. */
const finalCodes: ReadonlySet<number> = new Set([2, 3, 5])
/** From best to worst; an exit by a signal counts as 137, anything else as 1. */
const severity: readonly number[] = [0, 130, 75, 4, 137, 1, 5, 3, 2]

/** As a shell would report it. */
export function codeOf({ code }: MemberExit): number {
  return code ?? 137
}

export function worstCode(exits: readonly MemberExit[]): number {
  const rank = (code: number): number => severity.indexOf(severity.includes(code) ? code : 1)
  return exits.map(codeOf).reduce((worst, code) => (rank(code) > rank(worst) ? code : worst), 0)
}

/**
 * Runs members until the signal aborts, and restarts those that end, each by itself and ever more slowly. One that ends with a
 * code that a restart cannot mend stops all. Resolves with the worst exit code of the last run of each.
 */
export async function runMembers(options: MembersOptions, signal: AbortSignal): Promise<number> {
  const { clock, log, count } = options
  const final = new AbortController()
  const stop = AbortSignal.any([signal, final.signal])
  const member = async (index: number): Promise<MemberExit> => {
    for (let failures = 0; ;) {
      const startedAt = clock.monotonic()
      const exit = await runOnce(options, index, stop)
      if (stop.aborted) return exit
      if (finalCodes.has(codeOf(exit))) {
        log.error({ member: index, ...exit }, 'a member cannot go on; all stop')
        final.abort()
        return exit
      }
      failures = clock.monotonic() - startedAt >= steadyMs ? 1 : failures + 1
      const waitMs = Math.min(backOffFirstMs * 2 ** (failures - 1), backOffMaxMs)
      log.warn({ member: index, ...exit, waitMs }, 'a member ended; it is started again')
      await clock.sleep(waitMs, stop).catch(() => undefined)
      if (stop.aborted) return exit
    }
  }
  return worstCode(await Promise.all(Array.from({ length: count }, (_, index) => member(index + 1))))
}

async function runOnce(options: MembersOptions, index: number, stop: AbortSignal): Promise<MemberExit> {
  const { start, clock, log, drainMaxMs } = options
  const process = start(index)
  log.info({ member: index, pid: process.pid }, 'member started')
  const over = new AbortController()
  const onStop = (): void => {
    process.stop()
    void withTimeout(process.ended, drainMaxMs, clock, 'draining').catch(() => process.kill())
  }
  stop.addEventListener('abort', onStop, { once: true, signal: over.signal })
  if (stop.aborted) onStop()
  try {
    return await process.ended
  } finally {
    over.abort()
  }
}
