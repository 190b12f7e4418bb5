import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

// Stands in for npm: counts its calls, then waits while a file `hold` exists, fails when told, or installs.
const fakeNpm = `
import { appendFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
appendFileSync('calls', process.argv[2] + '\\n')
rmSync('node_modules', { recursive: true, force: true })
mkdirSync('node_modules/half', { recursive: true })
while (existsSync('hold')) await new Promise((resolve) => setTimeout(resolve, 5))
if (existsSync('fail')) { console.error('npm error code ENOTFOUND'); process.exit(1) }
writeFileSync('node_modules/.package-lock.json', JSON.stringify({ packages: { 'node_modules/a': { version: '1.0.0' } } }))
`

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-setup-'))
  await mkdir(join(root, 'scripts'))
  await copyFile(join(import.meta.dirname, '../../../scripts/setup.mjs'), join(root, 'scripts/setup.mjs'))
  await writeFile(join(root, 'npm-cli.mjs'), fakeNpm)
  await lockPackage('1.0.0')
})
afterEach(() => rm(root, { recursive: true, force: true }))

function lockPackage(version: string): Promise<void> {
  const optional = { version: '9.9.9', optional: true }
  const packages = {
    '': { name: 'x' },
    'node_modules/a': { version },
    'node_modules/for-another-system': { ...optional, os: ['aix'] },
    'node_modules/needed-by-that': optional,
  }
  return writeFile(join(root, 'package-lock.json'), JSON.stringify({ packages }))
}

interface Run {
  readonly process: ChildProcess
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>
}

function setup(...args: string[]): Run {
  const script = join(root, 'scripts/setup.mjs')
  const env = { ...process.env, npm_execpath: join(root, 'npm-cli.mjs'), CI: 'true' }
  const child = spawn(process.execPath, [script, ...args], { cwd: root, env })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()))
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, ...output }))
  return { process: child, ended }
}

async function npmCalls(): Promise<number> {
  const calls = await readFile(join(root, 'calls'), 'utf8').catch(() => '')
  return calls.split('\n').length - 1
}

const untilNpmRuns = (calls: number): Promise<void> =>
  vi.waitFor(async () => expect(await npmCalls()).toBe(calls), { timeout: 10_000 })

describe('the set-up of a checkout', () => {
  test('installs once, prints the Node to use, and is silent from then on', async () => {
    const first = await setup('--print-node').ended
    expect(first).toMatchObject({ code: 0, stdout: `${process.execPath}\n` })
    expect(first.stderr).toContain('installing the packages')
    expect(await setup('--print-node').ended).toEqual({
      code: 0,
      stdout: `${process.execPath}\n`,
      stderr: '',
    })
    expect(await npmCalls()).toBe(1)
  })

  test('installs again when the lock file names other packages', async () => {
    await setup().ended
    await lockPackage('2.0.0')
    await setup().ended
    expect(await npmCalls()).toBe(2)
  })

  test('accepts what somebody installed by hand, without the optional packages of other systems', async () => {
    await mkdir(join(root, 'node_modules'))
    const record = { packages: { 'node_modules/a': { version: '1.0.0' } } }
    await writeFile(join(root, 'node_modules/.package-lock.json'), JSON.stringify(record))
    expect(await setup().ended).toMatchObject({ code: 0, stderr: '' })
    expect(await npmCalls()).toBe(0)
  })

  test('an interrupted set-up is done again by the next one', async () => {
    await writeFile(join(root, 'hold'), '')
    const interrupted = setup()
    await untilNpmRuns(1)
    interrupted.process.kill('SIGINT')
    expect(await interrupted.ended).toMatchObject({
      code: 130,
      stderr: expect.stringContaining('Start again') as string,
    })
    await rm(join(root, 'hold'))
    expect(await setup().ended).toMatchObject({ code: 0 })
    expect(await npmCalls()).toBe(2)
  })

  test('two at the same time install once', async () => {
    await writeFile(join(root, 'hold'), '')
    const first = setup()
    await untilNpmRuns(1)
    const second = setup()
    const waits = new Promise<void>((resolve) => second.process.stderr?.once('data', () => resolve()))
    await waits
    await rm(join(root, 'hold'))
    expect(await Promise.all([first.ended, second.ended])).toMatchObject([{ code: 0 }, { code: 0 }])
    expect((await second.ended).stderr).toContain(`waiting for another set-up (process ${first.process.pid})`)
    expect(await npmCalls()).toBe(1)
  })

  test('takes over the lock of a set-up that died', async () => {
    const dead = spawn(process.execPath, ['-e', ''])
    await once(dead, 'close')
    await mkdir(join(root, '.millrace'))
    await writeFile(join(root, '.millrace/setup.lock'), `${dead.pid} ${hostname()} `)
    expect(await setup().ended).toMatchObject({ code: 0 })
    expect(await npmCalls()).toBe(1)
  })

  test('a failure says what failed, why, and what to do', async () => {
    await writeFile(join(root, 'fail'), '')
    const { code, stdout, stderr } = await setup('--print-node').ended
    expect({ code, stdout }).toEqual({ code: 4, stdout: '' })
    expect(stderr).toContain('Installing the packages failed')
    expect(stderr).toContain('ENOTFOUND')
    expect(stderr).toContain('Check the network')
  })
})
