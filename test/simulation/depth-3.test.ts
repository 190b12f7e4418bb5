import { describe } from 'vitest'
import { testSeeds } from './seeds.ts'

describe('with 3 slices between take and commit', () => {
  testSeeds(3)
})
