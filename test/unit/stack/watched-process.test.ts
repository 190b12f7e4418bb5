import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { isAlive } from '../../../src/stack/file-lock.ts'
import { type ServerLaunch, startOnFreePort, startWatched } from '../../../src/stack/watched-process.ts'
import type { Clock } from '../../../src/time/clock.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'
import { systemClock } from '../../../src/time/system-clock.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-watched-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

/** A "server" written in shell; it serves once its log says `serving`. */
function shellServer(script: string): ServerLaunch {
  const logFile = join(dir, 'server.log')
  const probe = async (): Promise<void> => {
    const log = await readFile(logFile, 'utf8')
    if (!log.includes('serving')) throw new Error('not yet')
  }
  return { name: 'Shell', command: 'sh', args: ['-c', script], logFile, probe }
}

const serveForEver = 'echo serving; while :; do sleep 1; done'

describe('a watched server', () => {
  test('stops when told, as often as it is told', async () => {
    const server = await startWatched(shellServer(serveForEver))
    expect(isAlive(server.pid)).toBe(true)
    await Promise.all([server.stop(), server.stop()])
    await server.stop()
    expect(isAlive(server.pid)).toBe(false)
  })

  test('that ignores SIGTERM is killed after the grace time', { timeout: 30_000 }, async () => {
    const manual = manualClock()
    // Until it serves real time has to pass; only the grace time is waited for by hand.
    const clock: Clock = {
      ...systemClock,
      sleep: (ms, signal) => (ms < 1_000 ? systemClock.sleep(ms, signal) : manual.sleep(ms, signal)),
    }
    const server = await startWatched(shellServer(`trap '' TERM; ${serveForEver}`), undefined, clock)
    const stopping = server.stop()
    await manual.advance(9_999)
    expect(isAlive(server.pid)).toBe(true)
    await manual.advance(1)
    await stopping
    expect(isAlive(server.pid)).toBe(false)
  })

  test('that ends while starting is reported with its exit code and its last lines', async () => {
    const starting = startWatched(shellServer('echo cannot bind >&2; exit 7'))
    await expect(starting).rejects.toMatchObject({
      code: 'STACK_UNAVAILABLE',
      message: expect.stringMatching(/Shell ended with code 7 while starting[^]*cannot bind/) as string,
    })
  })

  test('does not survive an aborted start', async () => {
    const abort = new AbortController()
    const launch = shellServer('echo $$; while :; do sleep 1; done')
    const starting = startWatched(launch, abort.signal)
    const pid = await vi.waitFor(async () => {
      const text = await readFile(launch.logFile, 'utf8')
      expect(text).toMatch(/\d+\n/)
      return Number(text)
    })
    abort.abort(new Error('enough'))
    await expect(starting).rejects.toThrow('enough')
    expect(isAlive(pid)).toBe(false)
  })

  test('whose free port was taken in the meantime gets another one', async () => {
    const launches = [shellServer('echo Address already in use; exit 1'), shellServer(serveForEver)]
    const prepare = vi.fn(() => Promise.resolve({ launch: launches.shift() ?? shellServer('exit 1') }))
    const { server } = await startOnFreePort(prepare)
    expect(prepare).toHaveBeenCalledTimes(2)
    await server.stop()
  })
})
