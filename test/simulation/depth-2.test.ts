import { describe } from 'vitest'
import { testSeeds } from './seeds.ts'

describe('with 2 slices between take and commit', () => {
  testSeeds(2)
})
