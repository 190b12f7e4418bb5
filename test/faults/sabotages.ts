import { mutants } from '../simulation/mutants.ts'

/** One place in the source, as text: `find` occurs exactly once in `file`. */
export interface Edit {
  readonly file: string
  readonly find: string
  readonly replace: string
}

/** A mistake in the guarantees, and what must turn red. */
export interface Sabotage {
  readonly name: string
  readonly edits: readonly Edit[]
  /** A scenario, and rounds enough for it to notice; or a test, as vitest takes it. */
  readonly shown:
    { readonly scenario: string; readonly rounds: number } | { readonly test: string; readonly named: string }
  /** The violation, or the failure of the test, that it must bring about: another one proves nothing. */
  readonly breaks: RegExp
  /** Why it may pass unnoticed there, and what notices it. */
  readonly unnoticed?: string
}

const transactions = 'src/commit/kafka-transaction.ts'

/** One of the simulation's. */
function mutant(name: string): readonly Edit[] {
  const found = mutants.find((one) => one.name === name)
  if (found === undefined) throw new Error(`the simulation has no mutant “${name}”`)
  return [found]
}

const nobodyWaits: Pick<Sabotage, 'edits' | 'shown'> = {
  edits: mutant('events wait for nobody, and none says so'),
  shown: {
    test: 'test/integration/service/just-in-time.test.ts',
    named: 'labels written just before the payments that need them',
  },
}

export const sabotages: readonly Sabotage[] = [
  {
    name: 'no fence: every process has transactional ids of its own',
    edits: [
      {
        file: transactions,
        find: 'return [app, group, input.topic, input.partition].join(nameSeparator)',
        replace: 'return [app, group, process.pid, input.topic, input.partition].join(nameSeparator)',
      },
    ],
    shown: { scenario: 'sleep-before-commit', rounds: 3 },
    breaks: /^I1:/,
  },
  {
    name: 'the position is read before the claim',
    edits: [
      {
        file: transactions,
        find: '      try {\n        await fenceOthers(producer, parts, signal)',
        replace:
          '      const early = await client.admin.groupOffset(client.plan.group, input.topic, input.partition)\n' +
          '      try {\n        await fenceOthers(producer, parts, signal)',
      },
      {
        file: transactions,
        find: 'return new KafkaClaim(parts, input, producer)',
        replace:
          'const claim = new KafkaClaim(parts, input, producer)\n' +
          '      if (early.offset >= 0) claim.committed = () => Promise.resolve(early)\n' +
          '      return claim',
      },
    ],
    shown: { scenario: 'commit-before-claim', rounds: 3 },
    breaks: /^I1:/,
  },
  {
    name: 'the store takes the larger offset instead of comparing',
    edits: [
      {
        file: 'src/features/redis-store.ts',
        find: "if w ~= ARGV[2] then\n  redis.call('PEXPIRE', KEYS[1], ARGV[4])\n  return { 0, w }\nend",
        replace:
          'local had, a = pcall(cjson.decode, w)\nlocal has, b = pcall(cjson.decode, ARGV[3])\n' +
          "if had and has and type(a) == 'table' and type(b) == 'table' and a[4] > b[4] then return { 0, w } end",
      },
    ],
    shown: { scenario: 'redis-old-snapshot', rounds: 5 },
    breaks: /^I[59]:/,
  },
  {
    name: 'changes are flushed before the commit',
    edits: mutant('changes go to the flusher before the commit'),
    shown: { scenario: 'late-commit', rounds: 3 },
    breaks: /^I6:/,
  },
  {
    name: 'a producer goes on after a clean abort',
    edits: [
      {
        file: transactions,
        find: '  const { client, app } = parts\n  return {',
        replace:
          '  const { client, app } = parts\n  const reused = new Map<string, KafkaClaim>()\n  return {',
      },
      {
        file: transactions,
        find: '      signal.throwIfAborted()\n      const producer = client.transactionalProducer(',
        replace:
          '      signal.throwIfAborted()\n' +
          '      const again = reused.get(`${input.topic}:${input.partition}`)?.revived()\n' +
          '      if (again) return again\n' +
          '      const producer = client.transactionalProducer(',
      },
      {
        file: transactions,
        find: 'return new KafkaClaim(parts, input, producer)',
        replace:
          'const claim = new KafkaClaim(parts, input, producer)\n' +
          '      reused.set(`${input.topic}:${input.partition}`, claim)\n' +
          '      return claim',
      },
      {
        file: transactions,
        find: '  close(): Promise<void> {',
        replace:
          '  revived(): KafkaClaim | null {\n' +
          '    if (this.#aborted !== true) return null\n' +
          "    this.#aborted = false\n    this.#state = 'ready'\n    this.#closing = null\n    return this\n  }\n" +
          '  #aborted = false\n\n' +
          '  close(): Promise<void> {\n    if (this.#aborted) return Promise.resolve()',
      },
      {
        file: transactions,
        find: "await withTimeout(transaction.abort(), closeDeadlineMs, clock, 'the abort').catch(",
        replace:
          "await withTimeout(transaction.abort().then(() => (this.#aborted = true)), closeDeadlineMs, clock, 'the abort').catch(",
      },
      {
        file: transactions,
        find: '    await closeProducer(this.#producer, this.#parts)\n  }',
        replace: '    if (!this.#aborted) await closeProducer(this.#producer, this.#parts)\n  }',
      },
    ],
    shown: { scenario: 'late-produce-after-abort', rounds: 3 },
    breaks: /^I[123]:/,
    unnoticed:
      'the partition only stands still there (I8), which is not what it breaks; the simulation notices it (test/simulation/sabotage.test.ts)',
  },
  {
    name: 'after a missing W changes are put behind what is stored',
    edits: mutant('after a missing watermark changes are put behind what is stored'),
    shown: { scenario: 'redis-watermarks-lost', rounds: 5 },
    breaks: /^I[59]:/,
  },
  {
    name: 'W moves on over queued changes',
    edits: [
      {
        file: 'src/pipeline/flusher.ts',
        find: 'const changes = memory.changesBelow(index, target.offset)',
        replace: 'const changes = target.offset % 5 === 0 ? [] : memory.changesBelow(index, target.offset)',
      },
    ],
    shown: { scenario: 'kill-anywhere', rounds: 3 },
    breaks: /^I[59]:/,
  },
  {
    name: 'unflushed changes are not laid over what is loaded',
    edits: mutant('parts with unflushed changes are evicted'),
    shown: { scenario: 'kill-many-entities', rounds: 3 },
    breaks: /^I[59]:/,
  },
  {
    name: 'one alert is lost',
    edits: mutant('an alert is not put into the transaction'),
    shown: { scenario: 'kill-anywhere', rounds: 1 },
    breaks: /^I2:/,
  },
  {
    name: 'rewinds of Redis are ignored',
    edits: [
      ...mutant('loads accept any own watermark, and so do flushes of equal offset'),
      ...mutant('a refused flush is taken for an applied one'),
    ],
    shown: { scenario: 'redis-old-snapshot', rounds: 5 },
    breaks: /^I[59]:/,
  },
  {
    name: 'outputs that a leader refused count as written',
    edits: [
      {
        file: 'src/kafka/wire/transactional-producer.ts',
        find: 'const isWritten = (batch: OutputBatch): boolean => codes.get(placeOf(batch)) === 0',
        replace: 'const isWritten = (batch: OutputBatch): boolean => codes.has(placeOf(batch))',
      },
    ],
    shown: { scenario: 'leader-moves', rounds: 10 },
    breaks: /^I1:/,
  },
  {
    name: 'a dead letter is written twice',
    edits: [
      {
        file: 'src/pipeline/publish.ts',
        find: "    if (item.kind === 'reject') {\n      dead(item.reject)",
        replace: "    if (item.kind === 'reject') {\n      dead(item.reject)\n      dead(item.reject)",
      },
    ],
    shown: { scenario: 'kill-anywhere', rounds: 1 },
    breaks: /^I1:/,
  },
  {
    name: 'the metadata is not committed',
    edits: [
      {
        file: transactions,
        find: 'await transaction.send(outputs, { group, topic, partition, ...position }, how)',
        replace:
          "await transaction.send(outputs, { group, topic, partition, ...position, metadata: '' }, how)",
      },
    ],
    shown: { scenario: 'hand-over', rounds: 2 },
    breaks: /^metadata of/,
  },
  {
    name: 'without patch P-B: aborted records are seen',
    edits: [
      {
        file: 'src/kafka/wire/committed-frames.ts',
        find: '    return !(isTransactional(frame) && aborting.has(frame.producerId))',
        replace: '    return !(isTransactional(frame) && aborting.has(-2))',
      },
    ],
    shown: {
      test: 'test/integration/service/inputs.test.ts',
      named: 'aborted records of a transactional producer are never seen',
    },
    breaks: /which is no input/,
  },
  {
    name: 'without patch P-D: kafkajs commits an offset of its own when a fetch is out of range',
    edits: [
      {
        file: 'src/kafka/patches/apply.ts',
        find: '  patchOffsetOutOfRange(consumerGroup)',
        replace: '  void patchOffsetOutOfRange',
      },
    ],
    shown: {
      test: 'test/integration/service/log-positions.test.ts',
      named: 'records deleted under a live owner',
    },
    breaks: /./,
  },
  {
    name: 'without patch P-H: a send is tried again while other brokers have not answered',
    edits: [
      {
        file: 'src/kafka/patches/apply.ts',
        find: 'loadedSend.exports = settleSends(createSend)',
        replace: 'void settleSends(createSend)',
      },
    ],
    shown: { scenario: 'leader-kill', rounds: 1 },
    breaks: /^I[12]:/,
  },
  { name: 'events wait for nobody, and none says so', ...nobodyWaits, breaks: /I10:/ },
  {
    name: 'events wait for nobody, and verify is to find which had to',
    ...nobodyWaits,
    breaks: /\+ +"feature": "terminal_fraud_/,
  },
  {
    name: 'what a prediction had to have read is not asked by verify',
    edits: [
      {
        file: 'src/service/verify/compare.ts',
        find: "mayDiffer(prediction) || prediction.flags.includes('late') ? [] : row.lacks(prediction)",
        replace: 'mayDiffer(prediction) || prediction.flags.length >= 0 ? [] : row.lacks(prediction)',
      },
    ],
    shown: {
      test: 'test/integration/cli/verify.test.ts',
      named: 'forged, doubled, lost and blind predictions are found',
    },
    breaks: /expected \+0 to be 1|expected 0 to be 1/,
  },
]
