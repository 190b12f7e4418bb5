import { MillraceError } from '../errors.ts'
import type { ModelThread } from '../onnx/thread.ts'
import type { PoolWorker } from './pool.ts'
import type { RunWatch } from './run-watch.ts'

/**
 * A model thread whose runs are watched. One that does not end in time rejects with MODEL_HANG: native code cannot be
 * interrupted, and ending its thread would abort the process. The process must end, and by a signal
 * (`process.kill(process.pid, 'SIGKILL')`): `process.exit` joins the threads, so it would hang as well.
 */
export function threadWorker(thread: ModelThread, watch: RunWatch): PoolWorker {
  return {
    run: async (rows, n) => {
      let hang: MillraceError | null = null
      const end = watch.begin(() => {
        const text = `A model run of ${n} rows did not end within ${watch.timeoutMs} ms. It cannot be interrupted, so the process must end.`
        hang = new MillraceError('MODEL_HANG', text)
        thread.abandon()
      })
      try {
        return await thread.run(rows, n)
      } catch (error) {
        throw hang ?? error
      } finally {
        end()
      }
    },
    close: () => thread.close(),
  }
}
