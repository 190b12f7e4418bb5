import type { ChildProcess } from 'node:child_process'

/** Kills the child when this process ends before it: a test that timed out may end without cleaning up. */
export function endTogether(child: ChildProcess): void {
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  child.once('exit', () => process.off('exit', kill))
}
