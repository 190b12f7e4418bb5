import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { MillraceError } from '../errors.ts'
import { millraceDir, type Report } from './cache.ts'
import { withFileLock } from './file-lock.ts'
import { prepareKafka } from './kafka-server.ts'
import { identify, isRunning, type ProcessIdentity, stopProcess } from './process-identity.ts'
import { prepareRedis } from './redis-server.ts'
import { prepareRegistry } from './registry-server.ts'
import { type ServerLaunch, untilServing } from './watched-process.ts'

/*
 * The detached stack of `millrace dev`: servers that stay until `dev down`. What runs is written to state.json right
 * after each start; a pid counts only together with the start time of its process, so nothing foreign is ever stopped.
 */
export type DevServerName = 'kafka' | 'redis' | 'registry'

interface DevServer extends ProcessIdentity {
  readonly address: string
  readonly logFile: string
}

type DevState = Partial<Record<DevServerName, DevServer>>

export interface DevServerStatus {
  readonly name: DevServerName
  /** brokers, redis:// address, or base address of the registry's API */
  readonly address: string
  readonly pid: number
  readonly logFile: string
  readonly isRunning: boolean
}

export interface DevOptions {
  /** Data, logs and state; `.millrace/dev` when left out. */
  readonly dir?: string
  readonly report?: Report
  readonly signal?: AbortSignal
}

export interface DevUpOptions extends DevOptions {
  readonly registry?: boolean
  /** The usual ports of the servers when left out. */
  readonly ports?: Partial<Record<DevServerName, number>>
}

export const devPorts: Readonly<Record<DevServerName, number>> = { kafka: 9092, redis: 6379, registry: 8081 }

/** Starts what does not run yet, on the data of the last time. What runs stays as it is. */
export function devUp(options: DevUpOptions = {}): Promise<DevServerStatus[]> {
  const dir = dirOf(options)
  const wanted: DevServerName[] = options.registry ? ['kafka', 'redis', 'registry'] : ['kafka', 'redis']
  return alone(options, async () => {
    const state = await readState(dir)
    const missing: DevServerName[] = []
    for (const name of wanted) if (!state[name] || !(await isRunning(state[name]))) missing.push(name)
    const saving = serially((name: DevServerName, server: DevServer) => {
      state[name] = server
      return writeState(dir, state)
    })
    const outcomes = await Promise.allSettled(missing.map((name) => start(name, dir, options, saving)))
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed) throw failed.reason
    return statusOf(state)
  })
}

/** Stops what runs; `wipe` removes topics, state and logs too. Tells what it stopped. */
export function devDown(options: DevOptions & { readonly wipe?: boolean } = {}): Promise<DevServerStatus[]> {
  const dir = dirOf(options)
  return alone(options, async () => {
    const state = await readState(dir)
    const before = await statusOf(state)
    await Promise.all(Object.values(state).map((server) => stopProcess(server)))
    await rm(options.wipe ? dir : stateFile(dir), { recursive: true, force: true })
    return before.filter((server) => server.isRunning)
  })
}

export async function devStatus(options: DevOptions = {}): Promise<DevServerStatus[]> {
  return statusOf(await readState(dirOf(options)))
}

async function statusOf(state: DevState): Promise<DevServerStatus[]> {
  const servers = Object.entries(state) as [DevServerName, DevServer][]
  const statuses = servers.map(async ([name, server]) => ({
    name,
    address: server.address,
    pid: server.pid,
    logFile: server.logFile,
    isRunning: await isRunning(server),
  }))
  return Promise.all(statuses)
}

// --- starting --------------------------------------------------------------------------------------------------------

type Save = (name: DevServerName, server: DevServer) => Promise<void>

async function start(name: DevServerName, dir: string, options: DevUpOptions, save: Save): Promise<void> {
  const { launch, address } = await prepare(name, dir, options)
  options.report?.(`starting ${launch.name} at ${address}`)
  await mkdir(dirname(launch.logFile), { recursive: true })
  const log = await open(launch.logFile, 'a')
  const child = spawn(launch.command, launch.args, { detached: true, stdio: ['ignore', log.fd, log.fd] })
  await log.close()
  child.unref()
  const exited = once(child, 'exit').then(
    ([code]) => (typeof code === 'number' ? code : 1),
    () => 1,
  )
  const identity = child.pid === undefined ? null : await identify(child.pid)
  if (identity !== null) await save(name, { ...identity, address, logFile: launch.logFile })
  try {
    await untilServing(launch, exited, options.signal)
  } catch (cause) {
    if (identity !== null) await stopProcess(identity)
    throw cause
  }
}

async function prepare(
  name: DevServerName,
  dir: string,
  options: DevUpOptions,
): Promise<{ launch: ServerLaunch; address: string }> {
  const { report, signal } = options
  const part = {
    dir: join(dir, name),
    port: options.ports?.[name] ?? devPorts[name],
    ...(report ? { report } : {}),
    ...(signal ? { signal } : {}),
  }
  if (name === 'kafka') {
    const { launch, brokers } = await prepareKafka(part)
    return { launch, address: brokers }
  }
  const { launch, url } =
    name === 'redis' ? await prepareRedis({ ...part, persistent: true }) : await prepareRegistry(part)
  return { launch, address: url }
}

// --- the state file ----------------------------------------------------------------------------------------------------

function dirOf(options: DevOptions): string {
  return options.dir ?? join(millraceDir(), 'dev')
}

function stateFile(dir: string): string {
  return join(dir, 'state.json')
}

/** One `dev` command at a time: the lock lies beside the folder, which `down --wipe` removes. */
function alone<T>(options: DevOptions, work: () => Promise<T>): Promise<T> {
  const onWait = (holder: string): void =>
    options.report?.(`waiting for another dev command (process ${holder})`)
  return withFileLock(`${dirOf(options)}.lock`, work, {
    onWait,
    ...(options.signal ? { signal: options.signal } : {}),
  })
}

async function readState(dir: string): Promise<DevState> {
  try {
    return JSON.parse(await readFile(stateFile(dir), 'utf8')) as DevState
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return {}
    const message = `${stateFile(dir)} is damaged. Stop the servers by hand and delete that file.`
    throw new MillraceError('STACK_UNAVAILABLE', message, { cause })
  }
}

async function writeState(dir: string, state: DevState): Promise<void> {
  await mkdir(dir, { recursive: true })
  const partial = `${stateFile(dir)}.partial`
  await writeFile(partial, `${JSON.stringify(state, null, 2)}\n`)
  await rename(partial, stateFile(dir))
}

/** The same function, its calls one after the other. */
function serially<A extends unknown[]>(work: (...args: A) => Promise<void>): (...args: A) => Promise<void> {
  let last: Promise<void> = Promise.resolve()
  return (...args) => (last = last.then(() => work(...args)))
}
