import { randomInt } from 'node:crypto'
import { assertPortFree } from '../../../src/stack/ports.ts'

// Below the ports that systems give to outgoing connections (32768 up on Linux, 49152 up on macOS): while a server
// that will come back on its port is down, nobody is given that port by chance.
const lowest = 15_000
const highest = 30_000
const triesMax = 200

/** Nobody may listen yet on a port that was given. */
const given = new Set<number>()

/** Free ports, each given once, that stay free while their server is down, as far as that can be. */
export async function stablePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  if (given.size > (highest - lowest) / 2) given.clear() // hundreds of stacks later: the first have long ended
  for (let tries = 0; ports.length < count; tries++) {
    const port = randomInt(lowest, highest)
    if (given.has(port)) continue
    given.add(port)
    try {
      await assertPortFree(port, 'a test server')
      ports.push(port)
    } catch (error) {
      if (tries >= triesMax) throw error
    }
  }
  return ports
}
