import type { Scenario } from '../scenario.ts'
import { brokerScenarios } from './broker.ts'
import { crashScenarios } from './crash.ts'
import { inputScenarios } from './input.ts'
import { modelScenarios } from './model.ts'
import { networkScenarios } from './network.ts'
import { rebalanceScenarios } from './rebalance.ts'
import { redisScenarios } from './redis.ts'
import { redisHaScenarios } from './redis-ha.ts'
import { timeScenarios } from './time.ts'
import { zombieScenarios } from './zombie.ts'

export const scenarios: readonly Scenario[] = [
  ...crashScenarios,
  ...zombieScenarios,
  ...networkScenarios,
  ...rebalanceScenarios,
  ...brokerScenarios,
  ...redisScenarios,
  ...redisHaScenarios,
  ...timeScenarios,
  ...inputScenarios,
  ...modelScenarios,
]
