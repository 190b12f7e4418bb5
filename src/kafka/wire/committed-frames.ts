import { isControl, isTransactional, type Frame } from './read-frames.ts'

export interface AbortedTransaction {
  readonly firstOffset: number
  readonly producerId: number
}

/**
 * Leaves out what belongs to aborted transactions, and the markers of all. kafkajs leaks aborted records: the broker lists
 * aborted transactions in the order of their markers and kafkajs takes them for sorted by first offset; it enters at most
 * one transaction per record; and it takes any record with the key 00 00 00 00 for an abort marker. Here as in the Java
 * client: sorted, entered in a loop, ended by control batches only. A commit marker needs no special case: a producer with an open aborted transaction writes its abort marker next.
 */
export function committedFrames(
  frames: readonly Frame[],
  aborted: readonly AbortedTransaction[] | null,
): readonly Frame[] {
  const starts = [...(aborted ?? [])].sort((a, b) => a.firstOffset - b.firstOffset)
  const aborting = new Set<number>()
  let next = 0
  return frames.filter((frame) => {
    for (let start = starts[next]; start && start.firstOffset <= frame.lastOffset; start = starts[++next]) {
      aborting.add(start.producerId)
    }
    if (isControl(frame)) {
      aborting.delete(frame.producerId)
      return false
    }
    return !(isTransactional(frame) && aborting.has(frame.producerId))
  })
}
