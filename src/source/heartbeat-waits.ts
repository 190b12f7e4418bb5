interface Wait {
  /** Heartbeats that were accepted since the wait began. */
  accepted: number
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

/** The first accepted one may have been sent before the wait began (or before this process was stopped for a while). */
const acceptedWanted = 2

/**
 * Waits for a heartbeat that was sent and accepted after the wait began: the second acceptance, because heartbeats go
 * out one after the other. So a wait also lasts at least one heartbeat interval, in which a newer generation would
 * have shown itself.
 */
export class HeartbeatWaits {
  readonly #waits = new Set<Wait>()
  #over: { readonly reason: unknown } | null = null

  async accepted(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#over) throw this.#over.reason
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const wait: Wait = { accepted: 0, resolve, reject }
    const onAbort = (): void => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    this.#waits.add(wait)
    try {
      await promise
    } finally {
      this.#waits.delete(wait)
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** The coordinator accepted a heartbeat. */
  beat(): void {
    for (const wait of this.#waits) {
      wait.accepted++
      if (wait.accepted >= acceptedWanted) wait.resolve()
    }
  }

  /** No heartbeat of this generation will be accepted any more. */
  end(reason: unknown): void {
    this.#over ??= { reason }
    for (const wait of this.#waits) wait.reject(reason)
  }
}
