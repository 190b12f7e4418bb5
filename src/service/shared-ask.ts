/**
 * One request at a time, and one that waits behind it: whoever asks meanwhile shares that one. So each answer is younger
 * than its question, and however many ask, there are two requests at most.
 */
export class SharedAsk<Answer> {
  readonly #request: () => Promise<Answer>
  #next: Promise<Answer> | null = null
  #current: Promise<unknown> = Promise.resolve()

  constructor(request: () => Promise<Answer>) {
    this.#request = request
  }

  ask(): Promise<Answer> {
    this.#next ??= this.#current
      .catch(() => undefined)
      .then(() => {
        this.#next = null
        const answer = this.#request()
        this.#current = answer
        return answer
      })
    return this.#next
  }
}
