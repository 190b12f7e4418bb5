import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import '../../../src/kafka/kafkajs.ts'
import type { AddPartitionsAnswer, AnswerParser } from '../../../src/kafka/patches/refused-partitions.ts'

const load = createRequire(import.meta.url)
const versions = [0, 1]
const parserOf = (version: number): AnswerParser =>
  load(`kafkajs/src/protocol/requests/addPartitionsToTxn/v${version}/response`) as AnswerParser

/** Topics in the order of the broker's answer, each with the error of its partition. */
function answer(errors: Record<string, number>): AddPartitionsAnswer {
  return {
    errors: Object.entries(errors).map(([topic, errorCode]) => ({
      topic,
      partitionErrors: [{ partition: 0, errorCode }],
    })),
  }
}

test.each(versions)('the topic that may not be written speaks, wherever it stands: v%i', async (version) => {
  const { parse } = parserOf(version)
  for (const errors of [
    { predictions: 55, alerts: 29 },
    { alerts: 29, predictions: 55 },
  ]) {
    await expect(parse(answer(errors))).rejects.toMatchObject({
      type: 'TOPIC_AUTHORIZATION_FAILED',
      message: expect.stringContaining('(topic alerts)'),
    })
  }
})

test.each(versions)('any other answer is read as published: v%i', async (version) => {
  const { parse } = parserOf(version)
  await expect(parse(answer({ predictions: 0, alerts: 0 }))).resolves.toMatchObject({
    errors: [{}, {}],
  })
  await expect(parse(answer({ predictions: 55, alerts: 3 }))).rejects.toMatchObject({
    type: 'OPERATION_NOT_ATTEMPTED',
  })
  await expect(parse(answer({ predictions: 51, alerts: 51 }))).rejects.toMatchObject({
    type: 'CONCURRENT_TRANSACTIONS',
  })
})
