/** Runs beside the event loop and ends the process when that has not moved for too long. */
import { writeSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import { beatIndex, beatsPerStall, nameBytesMax, nameLengthIndex, type WatchedMemory } from './watchdog.ts'

const { memory, stallMs, where } = workerData as {
  readonly memory: WatchedMemory
  readonly stallMs: number
  readonly where: Readonly<Record<string, string>>
}
const counts = new Int32Array(memory.counts)
const offsets = new Float64Array(memory.offset)
const nameBytes = new Uint8Array(memory.name)

const tickMs = Math.max(10, Math.floor(stallMs / beatsPerStall))
const sleeping = new Int32Array(new SharedArrayBuffer(4))
// Ticks, not time: while the whole process is stopped, this thread is too, and nothing of it counts.
const ticksMax = Math.ceil(stallMs / tickMs)

let seen = -1
for (let still = 0; still < ticksMax;) {
  Atomics.wait(sleeping, 0, 0, tickMs)
  const beats = Atomics.load(counts, beatIndex)
  still = beats === seen ? still + 1 : 0
  seen = beats
}
const length = Math.min(Atomics.load(counts, nameLengthIndex), nameBytesMax)
const record = length === 0 ? null : Buffer.from(nameBytes.slice(0, length)).toString()
writeSync(
  2,
  `${JSON.stringify({
    level: 'error',
    time: new Date().toISOString(),
    ...where,
    code: 'PROCESS_STALLED',
    stallMs,
    ...(record === null ? {} : { partition: record, offset: offsets[0] }),
    msg:
      record === null
        ? 'nothing moved in this process for limits.stall; it is ended'
        : `nothing moved in this process for limits.stall; it is ended. Last under work: ${record} offset ${offsets[0]}`,
  })}\n`,
)
process.kill(process.pid, 'SIGKILL')
