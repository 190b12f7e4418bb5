import { onTestFinished } from 'vitest'
import { systemClock } from '../../../src/time/system-clock.ts'
import { openKafkaWire, type Wire, type WireOptions } from '../../faults/wire/proxy.ts'
import { echoBroker, TestClient, type EchoBroker } from './echo-broker.ts'

export const api = { produce: 0, fetch: 1, endTxn: 26 } as const

export interface Setup {
  readonly broker: EchoBroker
  readonly wire: Wire
  readonly client: TestClient
}

/** A client, a wire and a broker, closed when the test ends. */
export async function setUp(options: WireOptions = {}): Promise<Setup> {
  const broker = await echoBroker()
  const wire = await openKafkaWire(broker.port, options)
  onTestFinished(() => wire.close())
  return { broker, wire, client: new TestClient(wire.port) }
}

const lookEveryMs = 2

export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await systemClock.sleep(lookEveryMs)
}

export async function seen(wire: Wire, name: string, count: number): Promise<void> {
  await until(() => wire.seen(name) >= count)
}
