import { expect, test } from 'vitest'
import { missingSettings, startWithMemorySettings } from '../../../src/cli/memory-settings.ts'

type Started = Parameters<typeof startWithMemorySettings>[0]

/** A process that was started with these arguments, and what took its place. */
function startedAs(args: readonly string[], more: Partial<Started> = {}) {
  const replacedBy: { file: string; args: readonly string[]; env: NodeJS.ProcessEnv }[] = []
  const started = {
    argv: [process.execPath, '/app/main.js', ...args],
    execArgv: ['--enable-source-maps'],
    execPath: process.execPath,
    env: { PATH: '/bin' },
    channel: undefined,
    execve: (file: string, argv: readonly string[] = [], env: NodeJS.ProcessEnv = {}) =>
      void replacedBy.push({ file, args: argv, env }),
    ...more,
  } as Started
  startWithMemorySettings(started)
  return replacedBy
}

test('a topology runs with a bounded heap and an allocator that gives memory back', () => {
  const [replaced] = startedAs(['run', 'a.yaml', '--http', 'off'])
  expect(replaced?.file).toBe(process.execPath)
  expect(replaced?.args.slice(1)).toEqual([
    '--enable-source-maps',
    '--max-semi-space-size=16',
    '--heap-growing-percent=50',
    '/app/main.js',
    'run',
    'a.yaml',
    '--http',
    'off',
  ])
  expect(replaced?.env).toMatchObject({ PATH: '/bin', MALLOC_ARENA_MAX: '2' })
})

test('a process that has its settings is not started once more', () => {
  const first = missingSettings([], {})
  expect(missingSettings(first?.execArgv ?? [], first?.env ?? {})).toBeNull()
})

test('what the operator has set stays as it is', () => {
  expect(missingSettings(['--max_semi_space_size=64'], {})?.execArgv).toEqual(['--heap-growing-percent=50'])
  expect(missingSettings([], { NODE_OPTIONS: '--max-semi-space-size=4' })?.execArgv).toEqual([
    '--heap-growing-percent=50',
  ])
  const { env } = missingSettings([], { MALLOC_ARENA_MAX: '8' }) ?? { env: {} }
  expect(env).not.toHaveProperty('MALLOC_ARENA_MAX')
  expect(missingSettings([], { MILLRACE_MEMORY_SETTINGS: 'off' })).toBeNull()
})

test('other commands, members of a parent and systems without execve run as they were started', () => {
  expect(startedAs(['validate', 'a.yaml'])).toEqual([])
  expect(startedAs(['run', 'a.yaml'], { channel: {} } as Partial<Started>)).toEqual([])
  expect(startedAs(['run', 'a.yaml'], { execve: undefined } as unknown as Partial<Started>)).toEqual([])
})

test('a program file that is gone does not end the process: it runs as it was started', () => {
  expect(startedAs(['run', 'a.yaml'], { execPath: '/nowhere/node' })).toEqual([])
})
