import { expect, test } from 'vitest'
import { MillraceError } from '../../../src/errors.ts'
import { SameFailure, sameFailureMax } from '../../../src/pipeline/same-failure.ts'

const aborted = (cause: unknown) =>
  new MillraceError('TRANSACTION_NOT_COMMITTED', 'no commit', { cause: new Error('wrapped', { cause }) })
const mistake = () => aborted(new TypeError('x is not a function'))

test('the same mistake over the same records is tried again twice, and then ends the process, naming the place', () => {
  const failures = new SameFailure()
  for (let tries = 1; tries < sameFailureMax; tries++) expect(failures.note('t:0', 7, mistake())).toBeNull()
  expect(failures.note('t:0', 7, mistake())).toMatchObject({
    code: 'INTERNAL',
    message: 't:0: the records from offset 7 failed 3 times in the same way: TypeError: x is not a function',
  })
})

test('progress, another mistake, or trouble of a server in between begin the count anew', () => {
  for (const [offset, error] of [
    [8, mistake()],
    [7, aborted(new RangeError('too long'))],
    [7, aborted(new Error('connection lost'))],
  ] as const) {
    const failures = new SameFailure()
    for (let tries = 1; tries < sameFailureMax; tries++) failures.note('t:0', 7, mistake())
    expect(failures.note('t:0', offset, error)).toBeNull()
    expect(failures.note('t:0', 7, mistake())).toBeNull()
  }
})

test('trouble of servers never counts against records, however often it comes', () => {
  const failures = new SameFailure()
  const refused = Object.assign(new Error('NOT_ENOUGH_REPLICAS'), { name: 'KafkaJSProtocolError' })
  for (let tries = 0; tries < 50; tries++) expect(failures.note('t:0', 7, aborted(refused))).toBeNull()
})
