import { vi } from 'vitest'
import { lookEveryMs, patienceMs } from './until.ts'

/** Looks again until nothing is thrown; gives up with what was thrown last. */
export function eventually(look: () => unknown): Promise<void> {
  return vi.waitFor(async () => void (await look()), { timeout: patienceMs, interval: lookEveryMs })
}
