import { Command } from 'commander'
import { openHttp, defaultHttpAddress, parseHttpAddress, type HttpServer } from '../service/http.ts'
import { readings } from '../service/readings.ts'
import { serviceHealth } from '../service/health.ts'
import { openService, runUntilStopped, type Service, type ServiceOptions } from '../service/service.ts'
import { openLog } from '../telemetry/log.ts'
import { compatibilityText, reportPartitions } from '../telemetry/partition-reading.ts'
import { createMetrics } from '../telemetry/metrics.ts'
import { systemClock } from '../time/system-clock.ts'
import { loadTopology } from '../topology/load.ts'
import { version } from '../version.ts'
import { listenForStop } from './stop-signal.ts'

interface RunOptions {
  readonly http: string
  readonly compatMetrics: boolean
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
    .action(async (file: string, options: RunOptions) => {
      await run(file, options)
    })
}

async function run(file: string, options: RunOptions): Promise<void> {
  const plan = await loadTopology(file, process.env)
  const log = openLog(process.env, process.stderr)
  const { metrics, registry } = createMetrics({ processMetrics: true })
  metrics.buildInfo.set({ version, node: process.version }, 1)
  using stop = listenForStop(process)
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
