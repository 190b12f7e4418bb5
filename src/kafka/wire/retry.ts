import type { Clock } from '../../time/clock.ts'
import { isProtocolError } from '../errors.ts'
import { transactionRetry } from '../patches/claim-back-off.ts'
import type { TransactionCluster } from './transaction-cluster.ts'

/** What an error of kafkajs says about itself. */
interface ClientError {
  readonly name?: string
  readonly retriable?: boolean
  readonly host?: string
  readonly port?: number
}

export interface Pauses {
  readonly firstMs: number
  readonly multiplier: number
  readonly maxMs: number
  readonly triesMax: number
}

export const transactionPauses: Pauses = {
  firstMs: transactionRetry.initialRetryTime,
  multiplier: transactionRetry.multiplier,
  maxMs: transactionRetry.maxRetryTime,
  triesMax: transactionRetry.retries,
}

/** Tries until it succeeds, until `mayPass` says that it will not, or until the signal aborts. One try at a time. */
export async function retried(
  attempt: () => Promise<void>,
  mayPass: (error: unknown) => Promise<boolean>,
  how: { readonly pauses: Pauses; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  const { pauses, clock, signal } = how
  let pauseMs = pauses.firstMs
  for (let tries = 1; ; tries++) {
    signal.throwIfAborted()
    try {
      return await attempt()
    } catch (error) {
      if (tries > pauses.triesMax || !(await mayPass(error))) throw error
    }
    await clock.sleep(pauseMs, signal)
    pauseMs = Math.min(pauseMs * pauses.multiplier, pauses.maxMs)
  }
}

/**
 * Whether a request to a leader or coordinator may be sent again: what kafkajs calls retriable. Makes ready for that:
 * connections that are gone are made anew, and the cluster is asked who leads now.
 */
export async function mendConnections(cluster: TransactionCluster, error: unknown): Promise<boolean> {
  const { name, retriable, host, port } = error as ClientError
  if (name === 'KafkaJSConnectionClosedError' && host !== undefined && port !== undefined) {
    cluster.removeBroker({ host, port })
  }
  if (retriable !== true) return false
  if (!cluster.isConnected()) await mended(() => cluster.connect())
  // The broker that says this is the right one: the last commit is still being written out.
  if (isProtocolError(error, 'CONCURRENT_TRANSACTIONS')) return true
  if (name !== undefined && othersMayLead.has(name)) await mended(() => cluster.refreshMetadata())
  return true
}

const othersMayLead = new Set([
  'KafkaJSProtocolError',
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSMetadataNotLoaded',
])

/** What cannot be reached now may be by the next try; what will never pass is thrown. */
async function mended(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if ((error as ClientError).retriable === false) throw error
  }
}
