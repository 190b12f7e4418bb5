import { describe } from 'vitest'
import { testSeeds } from './seeds.ts'

describe('with 1 slice between take and commit', () => {
  testSeeds(1)
})
