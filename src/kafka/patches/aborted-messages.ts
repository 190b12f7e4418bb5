import type { FetchedMessage } from '../internals.ts'

export interface AbortedTransaction {
  readonly firstOffset: string
  readonly producerId: string
}

export interface AbortedFilterInput {
  readonly messages: readonly FetchedMessage[]
  readonly abortedTransactions?: readonly AbortedTransaction[] | null
}

/**
 * P-B. Replaces `consumer/filterAbortedMessages`, which leaks aborted records: the broker lists aborted
 * transactions in the order of their markers and kafkajs takes them for sorted by first offset; it enters at
 * most one transaction per record; and it takes any record with the key 00 00 00 00 (an int32 zero) for an abort
 * marker. Here as in the Java client: sorted, entered in a loop, ended by control records only. A commit
 * marker needs no special case: a producer with an open aborted transaction writes its abort marker next.
 */
export function filterAbortedMessages({
  messages,
  abortedTransactions,
}: AbortedFilterInput): readonly FetchedMessage[] {
  if (!abortedTransactions || abortedTransactions.length === 0) return messages
  const starts = abortedTransactions
    .map(({ firstOffset, producerId }) => ({ firstOffset: Number(firstOffset), producerId }))
    .sort((a, b) => a.firstOffset - b.firstOffset)
  const aborting = new Set<string>()
  let next = 0

  return messages.filter((message) => {
    const offset = Number(message.offset)
    for (let start = starts[next]; start && start.firstOffset <= offset; start = starts[++next]) {
      aborting.add(start.producerId)
    }
    const { producerId, inTransaction } = message.batchContext
    if (message.isControlRecord) {
      aborting.delete(producerId)
      return true
    }
    return !(inTransaction && aborting.has(producerId))
  })
}
