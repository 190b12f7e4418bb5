import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dockerProblem } from '../../src/stack/docker.ts'
import { type RegistryServer, startRegistry } from '../../src/stack/registry-server.ts'
import { givenServers, openStack } from '../../src/stack/stack.ts'

/** The servers of one test run, in whatever they run. */
export interface TestServers {
  readonly brokers: string
  readonly redisUrl: string
  /** Called at most once; close() stops it too. Resolves to the base address of its Confluent API. */
  startRegistry(): Promise<string>
  close(): Promise<void>
}

/** Killed members of a group are missed sooner than after the broker's usual 6 s. */
export const testBrokerSettings = { 'group.min.session.timeout.ms': 2_000 }

export type Report = (line: string) => void

/**
 * Containers when MILLRACE_TEST_DOCKER=1 asks for them and Docker answers; processes otherwise, saying why. Servers that
 * MILLRACE_BROKERS and MILLRACE_REDIS name come first.
 */
export async function openTestServers(report: Report): Promise<TestServers> {
  const { brokers, redisUrl } = givenServers()
  const areContainersWanted = process.env['MILLRACE_TEST_DOCKER'] === '1'
  if (!areContainersWanted || brokers !== null || redisUrl !== null) return processServers(report)
  const problem = await dockerProblem()
  if (problem !== null) {
    report(`MILLRACE_TEST_DOCKER=1 is not followed: ${problem}. The servers run as plain processes`)
    return processServers(report)
  }
  report('the servers run in containers (MILLRACE_TEST_DOCKER=1)')
  const { containerServers } = await import('./server-containers.ts') // 300 packages that no other run needs
  return containerServers()
}

async function processServers(report: Report): Promise<TestServers> {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-test-'))
  const stack = await openStack({ dir, temporary: true, report, kafkaConfig: testBrokerSettings })
  let registry: Promise<RegistryServer> | null = null
  return {
    brokers: stack.brokers,
    redisUrl: stack.redisUrl,
    startRegistry: async () => {
      registry = startRegistry({ dir: join(dir, 'registry'), temporary: true, report })
      return (await registry).url
    },
    close: async () => {
      const server = await registry?.catch(() => null)
      await server?.stop()
      await stack.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
}
