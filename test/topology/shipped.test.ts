import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { openScorer } from '../../src/model/onnx-scorer.ts'
import { quietLog } from '../../src/telemetry/log.ts'
import { systemClock } from '../../src/time/system-clock.ts'
import { loadTopology } from '../../src/topology/load.ts'

const shipped = readdirSync('topologies').filter((file) => file.endsWith('.yaml'))

test.each(shipped)(
  '%s is valid, and its model opens, agrees with it and reproduces its golden rows',
  async (file) => {
    const plan = await loadTopology(`topologies/${file}`, {})
    const { signal } = new AbortController()
    const scorer = await openScorer({ plan: plan.model, clock: systemClock, log: quietLog, signal })
    try {
      const features = plan.model.inputs.flatMap((input) => input.features)
      expect(scorer.width).toBe(features.length)
      // Alerts of this topology have reasons: every input needs its usual value.
      expect([...(scorer.baseline?.keys() ?? [])].toSorted()).toEqual(features.toSorted())
      const usual = Float32Array.from(features, (name) => scorer.baseline?.get(name) ?? NaN)
      const { scores } = await scorer.score(usual, 1)
      expect(scores[0]).toBeLessThan(0.5)
    } finally {
      await scorer.close()
    }
  },
)
