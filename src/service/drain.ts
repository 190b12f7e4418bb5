import { MillraceError } from '../errors.ts'
import type { PartitionStatus } from '../pipeline/partition-status.ts'
import type { Clock } from '../time/clock.ts'
import { DeadlineExceeded, withTimeout } from '../time/deadline.ts'

/** A partition as its drain finds it. */
export interface DrainingPartition {
  readonly name: string
  readonly status: PartitionStatus
  /** What it waits for, as far as its status says so. */
  readonly detail: string
  /** Records were taken and their transaction has not ended. */
  readonly isSliceOpen: boolean
  /** Committed rows whose changes Redis does not have yet. */
  readonly unflushedRows: number
}

export interface DrainParts {
  readonly limitMs: number
  readonly clock: Clock
  /** Looked at when time is over. */
  readonly partitions: () => readonly DrainingPartition[]
  readonly redisAnswers: () => boolean
}

/** Waits for the end of a drain; throws DRAIN_EXCEEDED, saying what was still open, when it takes longer than allowed. */
export async function drainWithin(
  finish: Promise<void>,
  { limitMs, clock, partitions, redisAnswers }: DrainParts,
): Promise<void> {
  try {
    await withTimeout(finish, limitMs, clock, 'draining')
  } catch (error) {
    if (!(error instanceof DeadlineExceeded)) throw error
    const open = partitions().filter(({ status }) => status !== 'stopped' && status !== 'failed')
    const text = [
      `draining took longer than ${limitMs / 1000} s`,
      ...(redisAnswers() ? [] : ['Redis does not answer']),
      open.length === 0 ? 'all partitions were done, connections were not closed yet' : stillOpen(open),
      'nothing is lost: the next owner goes on from the committed positions',
    ].join('; ')
    throw new MillraceError('DRAIN_EXCEEDED', text, { cause: error })
  }
}

/** More would hide the rest of the message; one usually tells what all wait for. */
const namedMax = 8

function stillOpen(open: readonly DrainingPartition[]): string {
  const named = open.slice(0, namedMax).map((one) => `${one.name} ${[one.status, ...waits(one)].join(', ')}`)
  const more = open.length > namedMax ? ` and ${open.length - namedMax} more` : ''
  return `still open: ${named.map((text) => `[${text}]`).join(' ')}${more}`
}

function waits({ detail, isSliceOpen, unflushedRows }: DrainingPartition): string[] {
  return [
    ...(detail === '' ? [] : [detail]),
    ...(isSliceOpen ? ['a slice is not committed'] : []),
    ...(unflushedRows > 0 ? [`changes of ${unflushedRows} rows wait for Redis`] : []),
  ]
}
