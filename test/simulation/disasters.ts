import { parseMetadata, encodeMetadata } from '../../src/pipeline/metadata.ts'
import { isReject } from '../../src/record/event.ts'
import { inputName } from '../../src/record/input.ts'
import type { Dice } from './dice.ts'
import { decode, type Feed } from './feed.ts'
import type { Group } from './group.ts'
import type { Host } from './host.ts'
import type { Kafka } from './kafka.ts'
import type { Ledger } from './ledger.ts'
import type { Redis } from './redis.ts'
import type { Timeline } from './scheduler.ts'
import { allowedLatenessMs, horizonMs, outOfOrderMs, type Settings } from './topology.ts'
import type { Trace } from './trace.ts'

/** What disasters reach. */
export interface Stage {
  readonly settings: Settings
  readonly timeline: Timeline
  readonly trace: Trace
  readonly kafka: Kafka
  readonly redis: Redis
  readonly group: Group
  readonly feed: Feed
  readonly ledger: Ledger
  /** Processes that run, frozen or not. */
  hosts(): readonly Host[]
  /** A clean stop: drains, leaves the group, and another process starts. */
  restart(host: Host): void
  /** All processes stop, by a crash or cleanly; `act` runs when nobody is left; others start `ms` later. */
  maintain(dice: Dice, act: () => void, ms: number): void
}

type Disaster = (stage: Stage, dice: Dice) => void

function some(stage: Stage, dice: Dice, act: (host: Host) => void): void {
  const hosts = stage.hosts()
  if (hosts.length > 0) act(dice.pick(hosts))
}

function place({ settings, redis }: Stage, dice: Dice): { name: string; bucket: number } {
  return { name: inputName(dice.pick(settings.inputs)), bucket: dice.below(redis.store.buckets) }
}

/** By name; those that always may happen, then those of `Settings.troubles`. */
export const disasters: Readonly<Record<string, Disaster>> = {
  rebalance: ({ group }) => group.rebalance(),
  crash: (stage, dice) => some(stage, dice, (host) => host.crash()),
  freeze: (stage, dice) => some(stage, dice, (host) => host.freeze(dice.between(500, 8_000))),
  restart: (stage, dice) => some(stage, dice, (host) => stage.restart(host)),
  'thrown out': (stage, dice) => some(stage, dice, (host) => stage.group.forget(host)),
  failover: ({ redis }, dice) => redis.failOver(dice, false),
  'failover of a bucket': ({ redis }, dice) => redis.failOver(dice, true),
  FLUSHALL: ({ redis }) => redis.flushAll(),
  'slow script': ({ redis }, dice) => redis.stall(dice.spread(50, 8_000)),
  'torn script': ({ redis }, dice) => redis.tearNextScript(dice),
  'late copy': ({ redis }, dice) => redis.repeat(dice),
  'W lost': (stage, dice) => {
    const { name, bucket } = place(stage, dice)
    stage.redis.loseWatermark(bucket, name)
  },
  'W lost, begun again': (stage, dice) => {
    const { redis, timeline } = stage
    const { name, bucket } = place(stage, dice)
    redis.loseWatermark(bucket, name)
    const withData = dice.chance(0.5)
    timeline.at(dice.pick([0, dice.spread(1, 1_000)]), () => redis.beginAgain(bucket, name, withData))
  },
  'old backup': ({ redis, timeline }, dice) => {
    redis.backUp()
    timeline.at(dice.spread(300, 9_000), () => redis.restoreBackup())
  },

  /** From now on what no window can see any more, and is committed and flushed, is deleted: nobody may notice. */
  retention: (stage) => {
    for (let i = 0; i < 30; i++) stage.timeline.at(i * 1_000, () => deleteUnseen(stage))
  },

  'retention above the position': (stage, dice) => {
    const name = inputName(dice.pick(stage.settings.inputs))
    stage.maintain(
      dice,
      () => {
        const { kafka, ledger } = stage
        const position = ledger.position(name)
        if (ledger.of(name) === null || kafka.end(name) <= position) return
        ledger.mayRenew(name)
        kafka.deleteBelow(name, dice.between(position + 1, kafka.end(name)))
        note(stage, name, 'is deleted below', kafka.range(name).start, 'of', kafka.end(name))
        stage.trace.count('log deleted above the position')
      },
      0,
    )
  },

  /** Retention is shorter than the windows: what was read is gone, and may be needed again. */
  'retention too short': (stage, dice) => {
    const name = inputName(dice.pick(stage.settings.inputs))
    stage.maintain(
      dice,
      () => {
        const { kafka, ledger, redis } = stage
        const position = ledger.position(name)
        if (ledger.of(name) === null || position === 0) return
        ledger.mayRenew(name)
        kafka.deleteBelow(name, dice.between(1, position))
        if (dice.chance(0.5)) redis.flushAll()
        note(stage, name, 'is deleted below', kafka.range(name).start, 'although windows see more')
        stage.trace.count('log deleted below the position')
      },
      0,
    )
  },

  'offset set by an operator': (stage, dice) =>
    moveOffset(stage, dice, 'offset set by an operator', ({ start, end }) => dice.between(start, end)),
  'offset beyond the end': (stage, dice) =>
    moveOffset(stage, dice, 'offset beyond the end', ({ end }) => end + 1 + dice.below(5)),

  'topic recreated': (stage, dice) => {
    const { topic } = dice.pick(stage.settings.inputs)
    const all = stage.settings.inputs.filter((input) => input.topic === topic)
    stage.maintain(
      dice,
      () => {
        const { kafka, ledger, feed, settings } = stage
        // Without ids, a log of which nothing was read cannot be seen to be another one.
        const isSeen = all.every((input) => {
          return parseMetadata(kafka.committed(inputName(input))?.metadata ?? '')?.last
        })
        if (!isSeen && !settings.topicIds) return
        kafka.recreated(topic)
        for (const input of all) {
          ledger.mayRenew(inputName(input))
          feed.recreate(input, dice)
          note(stage, inputName(input), 'is of another topic now, up to', kafka.end(inputName(input)))
        }
        stage.trace.count('topic recreated')
      },
      0,
    )
  },

  'group offsets lost': (stage, dice) => {
    const all = stage.settings.inputs
    const lost = dice.chance(0.5) ? all : [dice.pick(all)]
    stage.maintain(
      dice,
      () => {
        for (const name of lost.map(inputName)) {
          stage.ledger.mayRenew(name)
          stage.kafka.setCommitted(name, null)
          note(stage, name, 'has no committed offset any more')
        }
        stage.trace.count('group offsets lost')
      },
      0,
    )
  },

  outage: (stage, dice) => {
    stage.trace.count('outage')
    stage.maintain(dice, () => undefined, dice.pick([3_000, 10_000, 30_000]))
  },

  /** Somebody has proven records to be killers, and says so in the commit metadata. */
  quarantine: (stage, dice) => {
    const name = inputName(dice.pick(stage.settings.inputs))
    stage.maintain(
      dice,
      () => {
        const { kafka } = stage
        // Before the position is read (R3): a commit under way is finished first.
        const epoch = kafka.claim(name)
        const committed = kafka.committed(name)
        const metadata = parseMetadata(committed?.metadata ?? '')
        if (committed === null || metadata === null || metadata.offset !== committed.offset) return
        const killers = Array.from({ length: 3 }, () => committed.offset + dice.below(12))
        const quarantine = [...new Set([...metadata.quarantine, ...killers])]
        const position = { offset: committed.offset, metadata: encodeMetadata({ ...metadata, quarantine }) }
        kafka.addOffset(name, epoch, position)
        kafka.endTransaction(name, epoch, true)
        note(stage, name, 'quarantines', killers)
        stage.trace.count('quarantine')
      },
      0,
    )
  },
}

/** Drawn in every run; some are likelier. */
export const usualDisasters: readonly string[] = [
  'rebalance',
  'crash',
  'freeze',
  'restart',
  'thrown out',
  'failover',
  'failover',
  'failover of a bucket',
  'FLUSHALL',
  'slow script',
  'torn script',
  'late copy',
  'W lost',
  'W lost, begun again',
  'old backup',
]

function deleteUnseen(stage: Stage): void {
  const { settings, kafka, ledger, redis } = stage
  const seen = settings.inputs.map((input) => ledger.readTime(inputName(input)))
  const visibleFrom = Math.min(...seen) - outOfOrderMs - horizonMs - allowedLatenessMs
  for (const name of settings.inputs.map(inputName)) {
    const flushed = redis.flushedOffset(name)
    const kept = kafka.records(name).find((record) => {
      const decoded = decode(record)
      return record.offset >= flushed || (!isReject(decoded) && decoded.time > visibleFrom)
    })
    // Between two anchors a rebuild may have to begin up to a slice before the first event that is visible.
    const anchor = parseMetadata(kafka.committed(name)?.metadata ?? '')?.anchors[0]
    const from = Math.min(kept?.offset ?? 0, flushed, anchor?.offset ?? 0)
    if (from <= kafka.range(name).start) continue
    stage.trace.count('retention')
    kafka.deleteBelow(name, from)
    note(stage, name, 'is deleted below', from)
  }
}

function moveOffset(
  stage: Stage,
  dice: Dice,
  what: string,
  to: (range: { start: number; end: number }) => number,
): void {
  const name = inputName(dice.pick(stage.settings.inputs))
  stage.maintain(
    dice,
    () => {
      const { kafka, ledger } = stage
      const offset = to(kafka.range(name))
      ledger.mayRenew(name)
      kafka.setCommitted(name, { offset, metadata: '' })
      note(stage, name, 'is set to', offset)
      stage.trace.count(what)
    },
    0,
  )
}

function note({ trace, timeline }: Stage, ...what: readonly unknown[]): void {
  trace.add(timeline.nowMs, 'world', ...what)
}
