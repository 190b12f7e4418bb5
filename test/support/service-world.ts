import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inject, onTestFailed, onTestFinished } from 'vitest'
import { CardWorld, type WorldOptions } from './card-world.ts'
import { brokers, redisUrl } from './servers.ts'

export { message, type LoggedInput, type Position, type WorldOptions } from './card-world.ts'
export { CardWorld as ServiceWorld } from './card-world.ts'

/** A world for the running test; when that fails, the logs of its processes are printed. */
export async function openWorld(options: WorldOptions = {}): Promise<CardWorld> {
  const servers = {
    brokers: brokers(),
    redisUrl: redisUrl(),
    sessionTimeout: inject('servers').sessionTimeoutMin,
  }
  const world = new CardWorld(await mkdtemp(join(tmpdir(), 'millrace-service-')), servers, options)
  onTestFinished(() => world.close())
  onTestFailed(() => void process.stderr.write(`${world.tail()}\n`))
  await world.open()
  return world
}
