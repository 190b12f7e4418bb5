import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Kafka, logLevel } from 'kafkajs'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { devDown, devStatus, devUp } from '../../../src/stack/dev.ts'
import { isAlive } from '../../../src/stack/file-lock.ts'
import { startKafka } from '../../../src/stack/kafka-server.ts'
import { freePorts } from '../../../src/stack/ports.ts'
import { startRedis } from '../../../src/stack/redis-server.ts'
import { eventually } from '../../support/eventually.ts'

// These tests start servers of their own, to kill and to restart them.
let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-own-'))
  vi.stubEnv('MILLRACE_BROKERS', '')
  vi.stubEnv('MILLRACE_REDIS', '')
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(dir, { recursive: true, force: true })
})

test('kill -9 of the process that holds a stack leaves no server and no data behind', async () => {
  const script = join(import.meta.dirname, '../../support/hold-stack.ts')
  const holder = spawn(process.execPath, [script, join(dir, 'stack')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface(holder.stdout), 'line')) as [string]
  const pids = JSON.parse(line) as number[]
  expect(pids.map(isAlive)).toEqual([true, true])
  holder.kill('SIGKILL')
  await eventually(() => expect(pids.map(isAlive)).toEqual([false, false]))
  await eventually(async () => expect(await readdir(dir)).toEqual([]))
})

test('a Kafka that was killed starts again on the same port with its topics', async () => {
  const [port = 0] = await freePorts(1)
  const topicsOf = async (
    work: (admin: ReturnType<Kafka['admin']>) => Promise<unknown>,
  ): Promise<string[]> => {
    const admin = new Kafka({ brokers: [`127.0.0.1:${port}`], logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    await work(admin)
    const topics = await admin.listTopics()
    await admin.disconnect()
    return topics
  }
  const first = await startKafka({ dir, port })
  await topicsOf((admin) => admin.createTopics({ topics: [{ topic: 'kept' }] }))
  await first.kill()
  await using second = await startKafka({ dir, port })
  expect(second.brokers).toBe(first.brokers)
  expect(await topicsOf(() => Promise.resolve())).toContain('kept')
})

test('a broker setting that Kafka refuses is reported with the lines that say so', async () => {
  const starting = startKafka({ dir, config: { 'num.io.threads': 0 } })
  await expect(starting).rejects.toMatchObject({
    code: 'STACK_UNAVAILABLE',
    message: expect.stringContaining('num.io.threads') as string,
  })
})

test('a taken port is reported with its number and who wanted it', async () => {
  const blocker = createServer().listen(0, '127.0.0.1')
  await once(blocker, 'listening')
  const { port } = blocker.address() as { port: number }
  await expect(startRedis({ dir, port })).rejects.toThrow(`Port ${port} for Redis is taken`)
  blocker.close()
})

describe('the detached stack', () => {
  let ports: { kafka: number; redis: number }
  beforeEach(async () => {
    const [kafka = 0, redis = 0] = await freePorts(2)
    ports = { kafka, redis }
  })
  afterEach(() => devDown({ dir }))

  test('comes up once, mends what died, and goes down', async () => {
    const first = await devUp({ dir, ports })
    expect(await devUp({ dir, ports })).toEqual(first)

    const redis = first.find(({ name }) => name === 'redis')
    process.kill(redis?.pid ?? 0, 'SIGKILL')
    await eventually(async () => {
      const statuses = await devStatus({ dir })
      expect(statuses.find(({ name }) => name === 'redis')?.isRunning).toBe(false)
    })
    const mended = await devUp({ dir, ports })
    expect(mended.map(({ isRunning }) => isRunning)).toEqual([true, true])
    expect(mended.find(({ name }) => name === 'kafka')).toEqual(first.find(({ name }) => name === 'kafka'))

    expect((await devDown({ dir, wipe: true })).map(({ name }) => name).toSorted()).toEqual([
      'kafka',
      'redis',
    ])
    // A process that ended exists until its supervisor has asked for its exit code.
    await eventually(() => expect(mended.map(({ pid }) => isAlive(pid))).toEqual([false, false]))
    expect(await devStatus({ dir })).toEqual([])
  })

  test('going down never stops a process that got the pid of a dead server', async () => {
    const bystander = spawn('sleep', ['60'])
    const redis = { pid: bystander.pid, started: 'long ago', address: 'redis://127.0.0.1:1', logFile: '' }
    await writeFile(join(dir, 'state.json'), JSON.stringify({ redis }))
    expect((await devStatus({ dir })).map(({ isRunning }) => isRunning)).toEqual([false])
    expect(await devDown({ dir })).toEqual([])
    expect(bystander.exitCode ?? bystander.signalCode).toBeNull()
    expect(isAlive(bystander.pid ?? 0)).toBe(true)
    bystander.kill()
    await expect(readFile(join(dir, 'state.json'))).rejects.toThrow('ENOENT')
  })
})
