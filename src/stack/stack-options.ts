import type { Report } from './cache.ts'
import type { WatchedServer } from './watched-process.ts'

export interface StackOptions {
  /** Data and logs of the servers, one folder each. */
  readonly dir: string
  readonly registry?: boolean
  /** Fixed ports; free ones when left out. */
  readonly ports?: { readonly kafka?: number; readonly redis?: number; readonly registry?: number }
  /** Extra broker settings. */
  readonly kafkaConfig?: Readonly<Record<string, string | number | boolean>>
  /** Remove `dir` on close, and after a crash of this process. */
  readonly temporary?: boolean
  /** Containers instead of processes when Java or Maven is missing and Docker answers. */
  readonly docker?: boolean
  readonly report?: Report
  readonly signal?: AbortSignal
}

/** Running servers, or those named by MILLRACE_BROKERS, MILLRACE_REDIS and MILLRACE_REGISTRY. */
export interface Stack extends AsyncDisposable {
  readonly brokers: string
  readonly redisUrl: string
  readonly registryUrl: string | null
  /** The processes started here; none for servers given by the environment. */
  readonly servers: readonly WatchedServer[]
  close(): Promise<void>
}
