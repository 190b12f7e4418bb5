import { url as inspectorUrl } from 'node:inspector'
import { Worker } from 'node:worker_threads'

/** What the watching thread reads while the event loop cannot speak. */
export interface WatchedMemory {
  /** Beats of the event loop, and the length of the name. */
  readonly counts: SharedArrayBuffer
  readonly offset: SharedArrayBuffer
  readonly name: SharedArrayBuffer
}

export const beatIndex = 0
export const nameLengthIndex = 1
/** Topic names have 249 characters at most. */
export const nameBytesMax = 300

/** Beats are this many per limit: one that is late by a few is no stall. */
export const beatsPerStall = 20

export interface Watchdog {
  [Symbol.dispose](): void
}

const memory: WatchedMemory = {
  counts: new SharedArrayBuffer(8),
  offset: new SharedArrayBuffer(8),
  name: new SharedArrayBuffer(nameBytesMax),
}
const counts = new Int32Array(memory.counts)
const offsets = new Float64Array(memory.offset)
const nameBytes = new Uint8Array(memory.name)
const encoder = new TextEncoder()
let named = ''

/** Says which record is begun: some 10 ns. One event loop, one record under work; nothing reads it but a watchdog. */
export function begins(partition: string, offset: number): void {
  offsets[0] = offset
  if (partition === named) return
  named = partition
  counts[nameLengthIndex] = encoder.encodeInto(partition, nameBytes).written
}

// Run from sources (type stripping) and from the built package alike.
const threadFile = new URL(
  import.meta.url.endsWith('.ts') ? './watchdog-thread.ts' : './watchdog-thread.js',
  import.meta.url,
)

/**
 * Ends the process, with a line on standard error that names the record under work, when the event loop does not move
 * for `stallMs`: whatever keeps it busy, no signal handler, timer or probe of its own would. `where` goes into the line.
 * Not while a debugger is attached, which stops it on purpose.
 */
export function startWatchdog(stallMs: number, where: Readonly<Record<string, string>> = {}): Watchdog {
  if (inspectorUrl() !== undefined) return { [Symbol.dispose]: () => undefined }
  const thread = new Worker(threadFile, {
    workerData: { memory, stallMs, where },
    execArgv: [],
    name: 'watchdog',
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 },
  })
  thread.unref()
  const beat = setInterval(() => Atomics.add(counts, beatIndex, 1), Math.max(10, stallMs / beatsPerStall))
  beat.unref()
  return {
    [Symbol.dispose]: () => {
      clearInterval(beat)
      void thread.terminate()
    },
  }
}
