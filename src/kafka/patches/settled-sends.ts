/** What `kafkajs/src/producer/sendMessages` is made with, as far as this patch looks into it. */
export interface SendParts {
  readonly eosManager: BrokerLocks & object
  readonly retrier: <T>(attempt: Attempt<T>) => Promise<T>
}

interface BrokerLocks {
  acquireBrokerLock(broker: object): Promise<void>
  releaseBrokerLock(broker: object): unknown
}

type Attempt<T> = (bail: (error: unknown) => void, retryCount: number, retryTime: number) => Promise<T>

/**
 * P-H. A send to partitions of several brokers is one request to each. When one of them fails, kafkajs tries again at
 * once, while the others are still on their way: they have no answer yet, so they are sent a second time, with the
 * next sequence numbers, and the broker writes the records twice, in one transaction. With three brokers and no fault
 * at all it happens every few seconds, because one of them still says CONCURRENT_TRANSACTIONS after the last commit.
 * Here an attempt has failed when all its requests have ended; those with an answer are then not sent again.
 * Requests are counted by the lock that each takes first and gives back last.
 */
export function settleSends<Parts extends SendParts, Send>(
  create: (parts: Parts) => Send,
): (parts: Parts) => Send {
  return (parts) => {
    const { eosManager, retrier } = parts
    let open = 0
    let waiting: (() => void)[] = []
    const ended = (): void => {
      open--
      if (open > 0) return
      for (const wake of waiting) wake()
      waiting = []
    }
    const allEnded = async (): Promise<void> => {
      if (open > 0) await new Promise<void>((resolve) => waiting.push(resolve))
    }
    const counted = {
      ...eosManager,
      acquireBrokerLock: async (broker: object): Promise<void> => {
        open++
        try {
          await eosManager.acquireBrokerLock(broker)
        } catch (error) {
          ended()
          throw error
        }
      },
      releaseBrokerLock: (broker: object): unknown => {
        try {
          return eosManager.releaseBrokerLock(broker)
        } finally {
          ended()
        }
      },
    }
    const settled: SendParts['retrier'] = (attempt) =>
      retrier(async (...how) => {
        try {
          return await attempt(...how)
        } catch (error) {
          await allEnded()
          throw error
        }
      })
    return create({ ...parts, eosManager: counted, retrier: settled })
  }
}
