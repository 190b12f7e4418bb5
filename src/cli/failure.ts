import { MillraceError } from '../errors.ts'

/** What a person reads when a command fails: what happened, where, what to do. */
export function failureText(error: unknown): string {
  if (error instanceof MillraceError) {
    return `millrace: ${error.code}: ${error.message}\n  ${error.remedy}\n`
  }
  if (isAbort(error)) return 'millrace: stopped\n'
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return `millrace: INTERNAL: ${text}\n  Please report it with the log lines around it.\n`
}

/** Interrupted by a signal while starting is not a failure of ours, but nothing was done: 130 as shells expect. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof MillraceError) return error.exitCode
  return isAbort(error) ? 130 : 1
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}
