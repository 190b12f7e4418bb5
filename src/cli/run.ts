import { Command, Option } from 'commander'
import { MillraceError } from '../errors.ts'
import { openHttp, defaultHttpAddress, parseHttpAddress, type HttpServer } from '../service/http.ts'
import { readings } from '../service/readings.ts'
import { serviceHealth } from '../service/health.ts'
import { openService, runUntilStopped, type Service, type ServiceOptions } from '../service/service.ts'
import { openLog, withFields } from '../telemetry/log.ts'
import { compatibilityText, reportPartitions } from '../telemetry/partition-reading.ts'
import { createMetrics } from '../telemetry/metrics.ts'
import { systemClock } from '../time/system-clock.ts'
import { startWatchdog } from '../time/watchdog.ts'
import { loadTopology } from '../topology/load.ts'
import { version } from '../version.ts'
import { asMember, listenToParent, memberHttp, memberNames, startMember } from './member-process.ts'
import { runMembers } from './members.ts'
import { listenForStop } from './stop-signal.ts'

interface RunOptions {
  readonly http: string
  readonly compatMetrics: boolean
  readonly processes: number
  /** Set by a parent: the name of this member. */
  readonly member?: string
}

export function runCommand(): Command {
  return new Command('run')
    .description('Run a topology: take events, publish predictions and alerts, exactly once.')
    .argument('<topology>', 'topology file (YAML)')
    .option('--http <address>', 'probes and metrics: HOST:PORT, PORT or off', defaultHttpAddress)
    .option(
      '--compat-metrics',
      'also serve the names of common lag exporters at /metrics/kafka-exporter',
      false,
    )
    .option(
      '--processes <n>',
      'run as this many processes, each a member of the group with an HTTP port of its own (counted up from the one of --http); those that crash are started again',
      processCount,
      1,
    )
    .addOption(new Option('--member <name>').hideHelp())
    .action((file: string, options: RunOptions) =>
      options.processes > 1 ? runAll(file, options) : run(file, options),
    )
}

const processesMax = 64

function processCount(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1 && count <= processesMax) return count
  throw new MillraceError('USAGE', `--processes takes a number from 1 to ${processesMax}, not \`${text}\`.`)
}

/** The parent: starts and watches members, and runs nothing itself. */
async function runAll(file: string, options: RunOptions): Promise<void> {
  const plan = await loadTopology(file, process.env)
  const log = openLog(process.env, process.stderr)
  const address = parseHttpAddress(options.http)
  using _ = startWatchdog(plan.limits.stallMs)
  const { processes: count } = options
  const nameOf = memberNames(plan.kafka)
  using stop = listenForStop(process)
  process.exitCode = await runMembers(
    {
      count,
      clock: systemClock,
      log,
      drainMaxMs: plan.limits.drainMs + stopMarginMs,
      start: (index) =>
        startMember(process.argv[1] ?? '', [
          'run',
          file,
          `--http=${memberHttp(address, index, count)}`,
          `--member=${nameOf(index)}`,
          ...(options.compatMetrics ? ['--compat-metrics'] : []),
        ]),
    },
    stop.signal,
  )
}

/** What a member may take beyond its drain to close its connections. */
const stopMarginMs = 10_000

async function run(file: string, options: RunOptions): Promise<void> {
  const { member } = options
  const loaded = await loadTopology(file, process.env)
  const plan = member === undefined ? loaded : { ...loaded, kafka: asMember(loaded.kafka, member) }
  const whole = openLog(process.env, process.stderr)
  const log = member === undefined ? whole : withFields(whole, { member })
  using _ = startWatchdog(plan.limits.stallMs, member === undefined ? {} : { member })
  const { metrics, registry } = createMetrics({ processMetrics: true })
  for (const { line, path, message, suggestion } of plan.warnings)
    log.warn({ file, line, path }, `${message} ${suggestion}`)
  metrics.buildInfo.set({ version, node: process.version }, 1)
  using stop = member === undefined ? listenForStop(process) : listenToParent(process, die)
  if (plan.labelSources.length > 0) {
    const sources = plan.labelSources.map(({ name }) => name)
    log.info({ sources }, 'no feature reads these sources: only `replay --labels` does')
  }
  const serviceOptions: ServiceOptions = {
    plan,
    log,
    metrics,
    clock: systemClock,
    onProgress: (line) => log.info({}, line),
  }
  const state: { service: Service | null } = { service: null }
  const address = parseHttpAddress(options.http)
  let http: HttpServer | null = null
  if (address !== null) {
    http = await openHttp({
      ...address,
      registry,
      health: serviceHealth(() => state.service),
      beforeScrape: async () => {
        if (state.service !== null)
          reportPartitions(metrics, await readings(state.service, metrics, systemClock))
      },
      ...(options.compatMetrics
        ? {
            compatibility: async () =>
              compatibilityText(
                plan.kafka.group,
                state.service === null ? [] : await readings(state.service, metrics, systemClock),
              ),
          }
        : {}),
    })
    log.info({ host: http.host, port: http.port }, 'serving /metrics /livez /readyz /startupz')
  }
  try {
    const service = await openService(serviceOptions, stop.signal)
    state.service = service
    await runUntilStopped(service, stop.signal)
  } finally {
    await http?.close()
  }
}

/** Politeness takes time, and whoever starts in the parent's place needs the ports. The open transaction is aborted by the next claim. */
function die(): void {
  process.kill(process.pid, 'SIGKILL')
}
