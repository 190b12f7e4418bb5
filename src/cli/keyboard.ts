/** The keys of a terminal, one call per key; Ctrl-C arrives as `\u0003`. */
export interface Keyboard {
  readonly isTTY?: boolean
  setRawMode?(on: boolean): unknown
  on(event: 'data', listener: (data: Buffer | string) => void): unknown
  off(event: 'data', listener: (data: Buffer | string) => void): unknown
  resume(): unknown
  pause(): unknown
  unref?(): unknown
}

/** Listens to single keys; the function returned gives the terminal back. Does nothing when input is not a terminal. */
export function listenForKeys(input: Keyboard, onKey: (key: string) => void): () => void {
  if (input.isTTY !== true || !input.setRawMode) return () => undefined
  const listener = (data: Buffer | string) => {
    for (const key of data.toString()) onKey(key)
  }
  input.setRawMode(true)
  input.on('data', listener)
  input.resume()
  return () => {
    input.off('data', listener)
    input.setRawMode?.(false)
    input.pause()
  }
}
