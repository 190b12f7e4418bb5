import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { type RegistryServer, startRegistry } from '../../src/stack/registry-server.ts'
import { givenServers, openStack } from '../../src/stack/stack.ts'
import type {} from './servers.ts'

const report = (line: string): void => void process.stderr.write(`test servers: ${line}\n`)

/** Runs once, in the main process of Vitest: starts the servers and tells the workers where they are. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-test-'))
  // Killed members are missed sooner than after the broker's usual 6 s.
  const kafkaConfig = { 'group.min.session.timeout.ms': 2_000 }
  const stack = await openStack({ dir, temporary: true, report, kafkaConfig })
  const registry = registryOnDemand(join(dir, 'registry'))
  const control = await openControl(registry.url)
  const { port } = control.address() as AddressInfo
  project.provide('servers', {
    brokers: stack.brokers,
    redisUrl: stack.redisUrl,
    controlUrl: `http://127.0.0.1:${port}`,
    sessionTimeoutMin: givenServers().brokers === null ? '3s' : '6s',
  })
  return async () => {
    control.close()
    await registry.stop()
    await stack.close()
    await rm(dir, { recursive: true, force: true })
  }
}

/** Starts the registry at the first question for its address, at most once. */
function registryOnDemand(dir: string): { url(): Promise<string>; stop(): Promise<void> } {
  let started: Promise<RegistryServer> | null = null
  const url = async (): Promise<string> => {
    const given = givenServers().registryUrl
    if (given !== null) return given
    started ??= startRegistry({ dir, temporary: true, report })
    return (await started).url
  }
  const stop = async (): Promise<void> => {
    const server = await started?.catch(() => null)
    await server?.stop()
  }
  return { url, stop }
}

/** How workers, which are other processes, ask for what starts on demand. */
async function openControl(registryUrl: () => Promise<string>): Promise<Server> {
  const server = createServer((_request, response) => {
    registryUrl().then(
      (url) => response.end(url),
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}
