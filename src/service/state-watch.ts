import { MillraceError } from '../errors.ts'
import type { StateTrust } from '../features/distrust.ts'
import type { RedisClient, RedisMaster } from '../redis/client.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Clock } from '../time/clock.ts'

/** A partition that knows what it stored. */
export interface StoringTask {
  /** An entity whose part was deleted, of some that it wrote; null: none. */
  missingEntity(partsMax: number, signal: AbortSignal): Promise<string | null>
}

export interface StateWatchOptions {
  readonly redis: Pick<RedisClient, 'masters'>
  readonly trust: StateTrust
  readonly tasks: () => readonly StoringTask[]
  readonly metrics: Pick<Metrics, 'redisMayEvict' | 'redisEvictedKeys' | 'stateDistrusted'>
  readonly clock: Clock
  readonly log: Log
}

/** Three short `INFO` per master, and a read of some parts per partition. */
const lookIntervalMs = 10_000
/** Parts that each partition looks for in each look. */
const partsCheckedMax = 64

/**
 * Windows that vanish from Redis read as empty ones. What says that some did: a counter of evictions, a setting that allows
 * them, and parts that an owner wrote and does not find. Then all that is stored is given up: owners rebuild from the log.
 */
export class StateWatch {
  readonly #options: StateWatchOptions
  #refusal: string | null = null
  /** By run id, as of the last look: what came since is counted. */
  readonly #counted = new Map<string, number>()

  constructor(options: StateWatchOptions) {
    this.#options = options
  }

  /** Why the instance is not ready; null: Redis keeps what it is given. */
  get refusal(): string | null {
    return this.#refusal
  }

  /** Looks once, before anything stored is trusted. Throws REDIS_EVICTION. */
  async begin(signal: AbortSignal): Promise<void> {
    await this.#lookAtServers(signal)
  }

  /** Looks until aborted. Rejects with REDIS_EVICTION when keys were evicted and more may be. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options
    while (!signal.aborted) {
      await clock.sleep(lookIntervalMs, signal).catch(() => undefined) // aborted
      try {
        await this.#lookAtServers(signal)
        await this.#lookForParts(signal)
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof MillraceError && error.code === 'REDIS_EVICTION') throw error
        log.debug({ error: String(error) }, 'could not look at Redis')
      }
    }
  }

  async #lookAtServers(signal: AbortSignal): Promise<void> {
    const { redis, trust, metrics } = this.#options
    const masters = await redis.masters(signal)
    const evicting = masters.filter(({ evictionPolicy }) => evictionPolicy !== 'noeviction')
    metrics.redisMayEvict.set(evicting.length)
    this.#count(masters)
    this.#refuse(evicting)
    const noted = (await trust.evictions(signal)) ?? new Map<string, number>()
    const risen = masters.filter(({ runId, evictedKeys }) => evictedKeys > (noted.get(runId) ?? 0))
    if (risen.length > 0) await this.#distrust('evicted', evictedText(risen), signal)
    // Behind the mark: a process that dies in between leaves it to the next one.
    await trust.note(new Map(masters.map(({ runId, evictedKeys }) => [runId, evictedKeys])), signal)
    if (risen.length > 0 && evicting.length > 0) {
      throw new MillraceError('REDIS_EVICTION', `${evictedText(risen)}, and ${policyText(evicting)}`)
    }
  }

  #count(masters: readonly RedisMaster[]): void {
    for (const { runId, evictedKeys } of masters) {
      const before = this.#counted.get(runId)
      this.#counted.set(runId, evictedKeys)
      if (before !== undefined && evictedKeys > before)
        this.#options.metrics.redisEvictedKeys.inc(evictedKeys - before)
    }
    for (const runId of this.#counted.keys())
      if (!masters.some((one) => one.runId === runId)) this.#counted.delete(runId)
  }

  #refuse(evicting: readonly RedisMaster[]): void {
    const refusal = evicting.length === 0 ? null : policyText(evicting)
    if (refusal !== null && refusal !== this.#refusal) {
      const fix = 'CONFIG SET maxmemory-policy noeviction (and in redis.conf)'
      this.#options.log.error(
        { code: 'REDIS_EVICTION', error: refusal, fix },
        'Redis may evict windows; not ready until that is changed',
      )
    }
    this.#refusal = refusal
  }

  async #lookForParts(signal: AbortSignal): Promise<void> {
    for (const task of this.#options.tasks()) {
      const entity = await task.missingEntity(partsCheckedMax, signal)
      if (entity === null) continue
      // The key of an entity is data of somebody: not for the log.
      await this.#distrust('deleted', 'a part that was written is not there, and has not expired', signal)
      return
    }
  }

  async #distrust(reason: 'evicted' | 'deleted', why: string, signal: AbortSignal): Promise<void> {
    const { trust, metrics, log } = this.#options
    const watermarks = await trust.distrust(reason, signal)
    if (watermarks === 0) return
    metrics.stateDistrusted.inc({ reason })
    log.error(
      { reason, error: why },
      'windows were deleted from Redis; what is left is given up and rebuilt from the log',
    )
  }
}

function policyText(masters: readonly RedisMaster[]): string {
  return masters
    .map(({ address, evictionPolicy }) => `Redis at ${address} has maxmemory-policy ${evictionPolicy}`)
    .join(', ')
}

function evictedText(masters: readonly RedisMaster[]): string {
  return masters
    .map(({ address, evictedKeys }) => `Redis at ${address} has evicted ${evictedKeys} keys since its start`)
    .join(', ')
}
