export type TurnKind = 'shared' | 'exclusive'

interface Waiting {
  readonly kind: TurnKind
  readonly grant: () => void
}

/**
 * Who works in this process: any number of ordinary slices, or one suspect and nobody else. First come, first served, so
 * that neither waits for longer than what is open before it.
 */
export class ProcessTurns {
  #shared = 0
  #exclusive = false
  #queue: Waiting[] = []

  /** Resolves with the function that ends the turn (idempotent); rejects with the signal's reason. */
  take(kind: TurnKind, signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const onAbort = (): void => {
        this.#queue = this.#queue.filter((other) => other !== waiting)
        reject(signal.reason)
        this.#advance()
      }
      const waiting: Waiting = {
        kind,
        grant: () => {
          signal.removeEventListener('abort', onAbort)
          resolve(this.#begin(kind))
        },
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#queue.push(waiting)
      this.#advance()
    })
  }

  /** Does something at once that must not fall into a suspect's turn. */
  async shared(signal: AbortSignal, work: () => void): Promise<void> {
    const end = await this.take('shared', signal)
    try {
      work()
    } finally {
      end()
    }
  }

  #begin(kind: TurnKind): () => void {
    if (kind === 'shared') this.#shared++
    else this.#exclusive = true
    let over = false
    return () => {
      if (over) return
      over = true
      if (kind === 'shared') this.#shared--
      else this.#exclusive = false
      this.#advance()
    }
  }

  #advance(): void {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const free = !this.#exclusive && (next.kind === 'shared' || this.#shared === 0)
      if (!free) return
      this.#queue.shift()
      next.grant()
    }
  }
}
