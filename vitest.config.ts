import { defineConfig } from 'vitest/config'
import { LongestFirst } from './test/support/longest-first.ts'

// The folders of the two projects; test/tidy.test.ts fails for a test file outside them.
const pure = [
  'test/unit/**/*.test.ts',
  'test/topology/**/*.test.ts',
  'test/simulation/**/*.test.ts',
  'test/differential/**/*.test.ts',
  'test/tidy.test.ts',
]
const onServers = ['test/integration/**/*.test.ts']

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: pure,
          maxWorkers: 2, // by itself Vitest leaves one of two cores idle
          isolate: false, // loading every module anew for each file costs a third of the time
          testTimeout: 30_000, // the longest takes 2 s; a busy machine may take ten times as long
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: onServers,
          globalSetup: 'test/support/servers-setup.ts',
          // Most of their time they wait, for sessions that end and servers that start: twice as many as cores.
          maxWorkers: 4,
          testTimeout: 240_000, // ends what hangs; every wait inside gives up earlier, and says for what
          hookTimeout: 240_000,
          sequence: { groupOrder: 1 }, // the pure tests first: they fail faster
        },
      },
    ],
  },
})
