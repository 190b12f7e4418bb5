import { expect, test } from 'vitest'
import { MillraceError } from '../../../src/errors.ts'
import {
  isAway,
  isFenced,
  isProtocolError,
  isRefused,
  kafkaError,
  textOf,
} from '../../../src/kafka/errors.ts'

const protocolError = (type: string, message = type, cause?: unknown) =>
  Object.assign(new Error(message, { cause }), { name: 'KafkaJSProtocolError', type })

test.each([
  ['INVALID_PRODUCER_EPOCH', protocolError('INVALID_PRODUCER_EPOCH')],
  ['PRODUCER_FENCED by name', protocolError('PRODUCER_FENCED')],
  [
    'PRODUCER_FENCED as kafkajs knows it',
    protocolError('KAFKAJS_UNKNOWN_ERROR_CODE', 'Unknown error code 90'),
  ],
  ['PRODUCER_FENCED by number', Object.assign(new Error('x'), { code: 90 })],
  ['given up by a retrier', new Error('retries', { cause: protocolError('INVALID_PRODUCER_EPOCH') })],
])('a newer owner is recognised: %s', (_name, error) => {
  expect(isFenced(error)).toBe(true)
})

test.each([
  protocolError('KAFKAJS_UNKNOWN_ERROR_CODE', 'Unknown error code 91'),
  protocolError('CONCURRENT_TRANSACTIONS'),
  protocolError('INVALID_PRODUCER_ID_MAPPING'),
  null,
  undefined,
  'text',
])('other trouble is not a newer owner: %s', (error) => {
  expect(isFenced(error)).toBe(false)
})

test.each([
  ['KAFKA_UNAUTHORISED', protocolError('TOPIC_AUTHORIZATION_FAILED')],
  ['KAFKA_UNAUTHORISED', new Error('gave up', { cause: protocolError('SASL_AUTHENTICATION_FAILED') })],
  [
    'KAFKA_UNAUTHORISED',
    Object.assign(new Error('bad password'), { name: 'KafkaJSSASLAuthenticationError' }),
  ],
  ['KAFKA_TOPIC_MISSING', protocolError('UNKNOWN_TOPIC_OR_PARTITION')],
  ['KAFKA_UNREACHABLE', Object.assign(new Error('ECONNREFUSED'), { name: 'KafkaJSConnectionError' })],
])('%s says what was tried, why it failed, and keeps the cause', (code, cause) => {
  const error = kafkaError(cause, 'asking for x')
  expect(error).toMatchObject({ code, cause })
  expect(error.message).toBe(`asking for x: ${textOf(cause)}`)
})

test.each([
  ['Closed connection', true],
  ['Connection error: read ECONNRESET', true],
  ['Request SaslAuthenticate(key: 36, version: 0) timed out', true],
  ['Authentication failed: Invalid username or password', false],
])('a connection that breaks while credentials are exchanged refuses nobody: %s', (text, isBroken) => {
  const error = Object.assign(new Error(`SASL PLAIN authentication failed: ${text}`), {
    name: 'KafkaJSSASLAuthenticationError',
  })
  expect([isAway(error), isRefused(error)]).toEqual([isBroken, !isBroken])
  expect(kafkaError(error, 'x').code).toBe(isBroken ? 'KAFKA_UNREACHABLE' : 'KAFKA_UNAUTHORISED')
})

test('an error of this program stays itself', () => {
  const error = new MillraceError('INTERNAL', 'x')
  expect(kafkaError(error, 'y')).toBe(error)
})

test('the innermost cause speaks, and a circle of causes ends', () => {
  const circle = new Error('outer', { cause: new Error('inner') })
  ;(circle.cause as Error).cause = circle
  expect(textOf(circle)).toBe('inner')
  expect(isProtocolError(circle, 'X')).toBe(false)
})
