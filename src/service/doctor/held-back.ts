import type { HeldPartition, OpenProducer } from '../../kafka/held-back.ts'
import { known, smallest, type Judge } from './kafka.ts'
import { fail, ok, warn, worst, type CheckId, type Finding } from './table.ts'
import { roundedUp } from './records.ts'

/** A transaction of seconds is what transactions take. */
const normalMs = 60_000
/** Kafka's default of `transaction.max.timeout.ms`, where the brokers do not tell theirs. */
const defaultTimeoutMaxMs = 900_000
/** Coordinators look for transactions that are over their time every 10 s. */
const coordinatorSlackMs = 60_000

/** Of transactions that are no trouble. */
const toldMax = 4

export const heldBackJudges = {
  'topics.open-transactions': (facts) => {
    const held = known(facts.heldBack)
    const timeoutMaxMs =
      'error' in facts.brokerSettings
        ? defaultTimeoutMaxMs
        : smallest(facts.brokerSettings, 'transaction.max.timeout.ms')
    const findings = held.map((one) => judgeHeld(one, facts.nowMs, timeoutMaxMs))
    const told = findings.slice(0, toldMax).map(({ found }) => found)
    return worst(findings, told.length === 0 ? 'nothing is held back' : told.join('; '))
  },
} satisfies Partial<Record<CheckId, Judge>>

function judgeHeld(held: HeldPartition, nowMs: number, timeoutMaxMs: number): Finding {
  const { topic, partition, stable, end, producers } = held
  const place = `${topic}:${partition}: ${end - stable} offsets from ${stable} on are held back by an open transaction`
  const [holder] = producers ?? []
  if (holder === undefined) {
    return warn(
      `${place}${producers === null ? '; whose, this principal may not ask' : ''}`,
      producers === null
        ? `Grant Read on ${topic} and Describe on transactional ids, or look again in a minute: ${findHanging}`
        : 'Look again: it may be over.',
    )
  }
  const sinceMs = holder.transaction?.startedAtMs ?? holder.lastWrittenAtMs
  const openMs = sinceMs === null ? null : Math.max(0, nowMs - sinceMs)
  const since = sinceMs === null ? '' : `, ${sinceText(holder, sinceMs)}`
  const found = `${place} of ${producerText(holder)}${since}`
  if (openMs !== null && openMs < normalMs) return ok(found)
  const limitMs = (holder.transaction?.timeoutMs ?? timeoutMaxMs) + coordinatorSlackMs
  if (openMs !== null && openMs < limitMs && !isOver(holder)) {
    return warn(
      `${found}. The coordinator aborts it ${roundedUp(limitMs - coordinatorSlackMs)} after its start`,
      `Let its producer commit or abort; a shorter transaction.timeout.ms there ends it sooner. ${abort(held)}`,
    )
  }
  const why = isOver(holder)
    ? 'Its coordinator takes it for ended'
    : 'That is longer than any transaction may take'
  return fail(`${found}. ${why}: it hangs, and nobody will end it`, abort(held))
}

/** The coordinator knows of no transaction under way: the one that is open in the log was left over. */
function isOver({ transaction }: OpenProducer): boolean {
  return transaction !== null && /^(Empty|Complete|Dead)/.test(transaction.state)
}

function producerText({ producerId, epoch, transaction }: OpenProducer): string {
  const producer = `producer ${producerId} (epoch ${epoch})`
  if (transaction === null) return `${producer}, which no coordinator shows to this principal`
  return `${producer}, transactional id ${transaction.transactionalId} (${transaction.state})`
}

function sinceText({ transaction }: OpenProducer, sinceMs: number): string {
  const time = new Date(sinceMs).toISOString()
  return transaction === null || transaction.startedAtMs === null
    ? `whose last record is from ${time}`
    : `open since ${time}`
}

const findHanging = 'kafka-transactions.sh --bootstrap-server … find-hanging --broker-id …'

/** Records of an aborted transaction are never read: somebody has to decide that. */
function abort({ topic, partition, stable }: HeldPartition): string {
  return `If its producer is gone, abort it (its records are then never read): kafka-transactions.sh --bootstrap-server … abort --topic ${topic} --partition ${partition} --start-offset ${stable}`
}
