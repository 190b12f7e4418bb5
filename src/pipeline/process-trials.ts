import type { Attempt } from './attempt.ts'
import { ProcessTurns } from './process-turns.ts'

/** What all partitions of a process share. Outlasts ownerships and generations. */
export interface ProcessTrials {
  readonly turns: ProcessTurns
  /** By input: the note this process wrote last and has not seen the end of. It lives, so the note accuses nobody. */
  readonly notes: Map<string, OwnNote>
  /** By input: turns of those over whose work the process is about to end. Who begins now would be taken for the killer. */
  readonly heldTurns: Map<string, () => void>
}

interface OwnNote {
  readonly offset: number
  readonly written: Attempt
  readonly before: Attempt | null
}

export function createProcessTrials(): ProcessTrials {
  return { turns: new ProcessTurns(), notes: new Map(), heldTurns: new Map() }
}
