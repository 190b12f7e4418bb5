import type { z } from 'zod'
import { duration, integer, object } from '../expression/written.ts'

/** `batch:`; rows that wait are scored together, nothing waits for more. */
export const batchOptions = object({
  target: duration({ min: 1, max: 60_000 })
    .prefault('20ms')
    .describe('Queue plus scoring time that the size of batches is learned against.'),
  rowsMax: integer({ min: 1, max: 65_536 }).prefault(2048).describe('Rows scored together at most.'),
})

export type BatchOptions = z.output<typeof batchOptions>
