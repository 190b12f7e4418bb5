import { describe, expect, test } from 'vitest'
import { formatTopics } from '../../../src/cli/topics.ts'

describe('millrace topics create', () => {
  test('tells of every topic whether it was created or there already', () => {
    expect(formatTopics(['in', 'out'], ['out'], 'text')).toBe('exists   in\ncreated  out\n')
    expect(JSON.parse(formatTopics(['in', 'out'], ['out'], 'json'))).toEqual({
      created: ['out'],
      existing: ['in'],
    })
  })
})
