import { MillraceError } from '../errors.ts'
import type { RegisteredSchema, Registry } from '../registry/registry.ts'
import type { Clock } from '../time/clock.ts'
import { untilAborted } from '../time/until-aborted.ts'

/** What `prepare` waits for; told before every pause. */
export interface SchemaWait {
  readonly schemaId: number
  /** SCHEMA_UNKNOWN or REGISTRY_UNREACHABLE. */
  readonly error: MillraceError
  readonly waitedMs: number
}

export interface WriterSchemasOptions<T> {
  readonly registry: Registry
  readonly clock: Clock
  readonly compile: (schema: RegisteredSchema) => T
  readonly onWait: (wait: SchemaWait) => void
  readonly known?: number
}

/** A question serves several partitions: none of them may end it. */
const neverAborted = new AbortController().signal

/** Compiled schemas kept. Real topics have a handful; the bound only stops garbage ids that happen to exist. */
const knownMax = 4_096
/** Unknown ids remembered. */
const unknownMax = 1_000
const pauseMinMs = 100
/** Longest pause between two questions for one id: how late a registration may be noticed. */
const pauseMaxMs = 5_000

/** Compiled writer schemas by id. An id that the registry does not know is waited for: giving it up would lose data. */
export class WriterSchemas<T> {
  readonly #options: WriterSchemasOptions<T>
  readonly #knownMax: number
  readonly #known = new Map<number, T>()
  /** Questions under way and when to ask next, monotonic ms: partitions waiting for one id ask once between them. */
  readonly #asking = new Map<number, Promise<MillraceError | null>>()
  readonly #askAgainAtMs = new Map<number, number>()

  constructor(options: WriterSchemasOptions<T>) {
    this.#options = options
    this.#knownMax = options.known ?? knownMax
  }

  get(id: number): T | undefined {
    return this.#known.get(id)
  }

  /** Resolves when all ids are known. Throws REGISTRY_UNAUTHORISED, or the signal's reason. */
  async load(ids: Iterable<number>, signal: AbortSignal): Promise<void> {
    for (const id of ids) {
      const known = this.#known.get(id)
      if (known === undefined) await this.#loadOne(id, signal)
      else this.#remember(id, known)
    }
  }

  async #loadOne(id: number, signal: AbortSignal): Promise<void> {
    const { clock, onWait } = this.#options
    const startedAtMs = clock.monotonic()
    for (let pauseMs = pauseMinMs; ; pauseMs = Math.min(pauseMs * 2, pauseMaxMs)) {
      await this.#rest(id, signal)
      if (this.#known.has(id)) return // another partition found it
      const error = await untilAborted(this.#shareQuestion(id, pauseMs), signal)
      if (error === null) return
      onWait({ schemaId: id, error, waitedMs: clock.monotonic() - startedAtMs })
    }
  }

  /** Until the id may be asked for; another partition may have asked meanwhile and moved that. */
  async #rest(id: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    for (;;) {
      const restMs = (this.#askAgainAtMs.get(id) ?? 0) - clock.monotonic()
      if (restMs <= 0) return
      await clock.sleep(restMs, signal)
    }
  }

  #shareQuestion(id: number, pauseMs: number): Promise<MillraceError | null> {
    const asking = this.#asking.get(id) ?? this.#ask(id, pauseMs).finally(() => this.#asking.delete(id))
    this.#asking.set(id, asking)
    return asking
  }

  /** Null when the id is known now, else why not. The registry bounds the time of a request. */
  async #ask(id: number, pauseMs: number): Promise<MillraceError | null> {
    const { registry, compile, clock } = this.#options
    try {
      const schema = await registry.writerSchema(id, neverAborted)
      if (schema !== null) {
        this.#askAgainAtMs.delete(id)
        this.#remember(id, compile(schema))
        return null
      }
      this.#pause(id, clock.monotonic() + pauseMs)
      return new MillraceError('SCHEMA_UNKNOWN', `Registry ${registry.url} does not know schema id ${id}`)
    } catch (error) {
      if (!(error instanceof MillraceError && error.reaction === 'retry')) throw error
      this.#pause(id, clock.monotonic() + pauseMs)
      return error
    }
  }

  #pause(id: number, untilMs: number): void {
    bound(this.#askAgainAtMs, unknownMax)
    this.#askAgainAtMs.set(id, untilMs)
  }

  /** As the newest: the oldest are forgotten first. */
  #remember(id: number, compiled: T): void {
    this.#known.delete(id)
    bound(this.#known, this.#knownMax)
    this.#known.set(id, compiled)
  }
}

/** Makes room for one more. */
function bound(map: Map<number, unknown>, max: number): void {
  for (const oldest of map.keys()) {
    if (map.size < max) return
    map.delete(oldest)
  }
}
