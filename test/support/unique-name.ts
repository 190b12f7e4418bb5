import { randomUUID } from 'node:crypto'

/** `prefix` made unique over runs and test files. */
export function uniqueName(prefix: string): string {
  return `${prefix}-${randomUUID().slice(0, 13)}`
}
