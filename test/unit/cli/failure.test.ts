import { describe, expect, test } from 'vitest'
import { exitCodeOf, failureText } from '../../../src/cli/failure.ts'
import { errorTable, MillraceError, type ErrorCode } from '../../../src/errors.ts'

describe('how a command fails', () => {
  test.each(Object.keys(errorTable) as ErrorCode[])('%s says what happened and what to do', (code) => {
    const error = new MillraceError(code, 'tx:0 at offset 7 went wrong')
    expect(failureText(error)).toContain('tx:0 at offset 7 went wrong')
    expect(failureText(error)).toContain(errorTable[code].remedy)
    expect(exitCodeOf(error)).toBe(errorTable[code].exitCode)
  })

  test('an interrupted start is not reported as a fault', () => {
    const abort = new DOMException('This operation was aborted', 'AbortError')
    expect(failureText(abort)).toBe('millrace: stopped\n')
    expect(exitCodeOf(abort)).toBe(130)
  })

  test('an unknown error keeps its stack', () => {
    expect(failureText(new TypeError('x is not a function'))).toContain('failure.test.ts')
    expect(exitCodeOf(new TypeError('x'))).toBe(1)
  })
})
