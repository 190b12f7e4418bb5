/** The first SIGINT or SIGTERM aborts the signal; the second ends the process as if nobody had listened. */
export function listenForStop(process: SignalSource): {
  readonly signal: AbortSignal
  [Symbol.dispose](): void
} {
  const stop = new AbortController()
  const dispose = () => {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
  const onSignal = () => {
    dispose()
    stop.abort()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return { signal: stop.signal, [Symbol.dispose]: dispose }
}

export interface SignalSource {
  on(signal: 'SIGINT' | 'SIGTERM', listener: () => void): unknown
  off(signal: 'SIGINT' | 'SIGTERM', listener: () => void): unknown
}
