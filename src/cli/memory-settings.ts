import { accessSync, constants } from 'node:fs'

/**
 * What a process has to be started with to stay small: V8 and the C library read it once, at their start. Values that
 * somebody gave stay. docs/operating.md has the formula and what each setting saves.
 */
export interface MemorySettings {
  readonly execArgv: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/**
 * Of V8. By default the young generation grows to 128 MB under any load; with 16 (32 MB in all) the CPU per event is the
 * same within what a busy machine shows. The old one is collected when it has grown by half; by default, while it is small, only at several times its size.
 */
const heapFlags = ['--max-semi-space-size=16', '--heap-growing-percent=50']

/**
 * glibc's names; other C libraries ignore them. Two arenas instead of eight per core. With fixed limits (bytes, glibc's own
 * first ones) fetched and decoded bytes go back to the system when they are freed: glibc raises both once it has
 * freed a large block.
 */
const allocatorSettings: Readonly<Record<string, string>> = {
  MALLOC_ARENA_MAX: '2',
  MALLOC_MMAP_THRESHOLD_: '131072',
  MALLOC_TRIM_THRESHOLD_: '131072',
}

/** Environment variable that leaves all as it is, with `off`. */
const switchName = 'MILLRACE_MEMORY_SETTINGS'

type Environment = Readonly<Record<string, string | undefined>>

/** What is missing; null when nothing is, or it is not wanted. */
export function missingSettings(execArgv: readonly string[], env: Environment): MemorySettings | null {
  if (env[switchName] === 'off') return null
  const options = [...execArgv, env['NODE_OPTIONS'] ?? ''].join(' ').replaceAll('_', '-')
  const flags = heapFlags.filter((flag) => !options.includes(flag.slice(0, flag.indexOf('='))))
  const variables = Object.entries(allocatorSettings).filter(([name]) => env[name] === undefined)
  if (flags.length === 0 && variables.length === 0) return null
  return { execArgv: flags, env: Object.fromEntries(variables) }
}

type StartedProcess = Pick<NodeJS.Process, 'argv' | 'execArgv' | 'execPath' | 'env' | 'execve' | 'channel'>

/**
 * Puts the same program with these settings in the place of this process (same process id, input and output), where it is to
 * run a topology and the system can (not Windows). A member of `--processes` has its parent's settings, and a channel to
 * it that would not survive. To be called before anything is loaded: all of it would be loaded twice.
 */
export function startWithMemorySettings(started: StartedProcess): void {
  const { argv, execArgv, execPath, env, channel } = started
  if (argv[2] !== 'run' || channel !== undefined || started.execve === undefined) return
  const missing = missingSettings(execArgv, env)
  if (missing === null || !isExecutable(execPath)) return
  const args = [execPath, ...execArgv, ...missing.execArgv, ...argv.slice(1)]
  started.execve(execPath, args, { ...env, ...missing.env })
}

/** A failed `execve` aborts the process; an update may have removed the file. */
function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
