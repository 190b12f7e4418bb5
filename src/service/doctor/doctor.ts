import { gatherFacts, type FactParts, type Facts } from './facts.ts'
import { groupJudges } from './group.ts'
import { heldBackJudges } from './held-back.ts'
import { kafkaJudges, known, NotKnown, type Judge } from './kafka.ts'
import { recordJudges } from './records.ts'
import { redisJudges } from './redis.ts'
import { checks, fail, ok, unknown, warn, type CheckId, type Finding, type Report } from './table.ts'

const judges: Readonly<Record<CheckId, Judge>> = {
  ...kafkaJudges,
  ...groupJudges,
  ...redisJudges,
  ...heldBackJudges,
  ...recordJudges,
  'model.files': ({ model }) => ok(known(model)),
  'registry.reachable': ({ plan, subjectsMissing }) => {
    const missing = known(subjectsMissing)
    if (missing === null) return ok('not needed: nothing is Avro')
    if (missing.length === 0) return ok(`${plan.registryUrl} knows all subjects`)
    return warn(
      `${missing.join(', ')}: no such subject`,
      'Register the schemas; records of a source wait until theirs is known, and outputs cannot be written without.',
    )
  },
}

/** A check whose own question stays unanswered has failed; for the others the answer is merely not known. */
const asksItself: Readonly<Partial<Record<CheckId, string>>> = {
  'kafka.reachable': 'KAFKA',
  'redis.reachable': 'REDIS',
  'model.files': 'MODEL',
  'registry.reachable': 'REGISTRY',
}

/** Looks at everything the topology depends on; changes nothing, needs no running service. */
export async function examine(parts: FactParts, signal: AbortSignal): Promise<readonly Report[]> {
  return judge(await gatherFacts(parts, signal))
}

export function judge(facts: Facts): readonly Report[] {
  return checks.map(({ id, why }) => ({ id, why, ...judgeOne(id, facts) }))
}

function judgeOne(id: CheckId, facts: Facts): Finding {
  try {
    return judges[id](facts)
  } catch (error) {
    if (!(error instanceof NotKnown)) throw error
    const { reason } = error
    const remedy = 'remedy' in reason ? String(reason.remedy) : null
    const text = `${reason.code}: ${reason.message}`
    if (asksItself[id] !== undefined) return fail(text, remedy ?? text)
    if (reason.code.endsWith('_UNREACHABLE')) return unknown(`not answered: ${reason.code}`)
    if (reason.code.endsWith('_UNAUTHORISED')) {
      return unknown(
        `this principal may not ask: ${reason.message}`,
        'Grant it Describe and DescribeConfigs on the cluster and the topics to have this checked.',
      )
    }
    return unknown(text, remedy)
  }
}

/** 0: nothing failed; 4: a server did not answer; 3: something else failed. */
export function exitCodeOf(reports: readonly Report[]): 0 | 3 | 4 {
  const failed = reports.filter(({ status }) => status === 'fail')
  if (failed.some(({ found }) => /^\w+_UNREACHABLE:/.test(found))) return 4
  return failed.length > 0 ? 3 : 0
}
