import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestProject } from 'vitest/node'
import { givenServers } from '../../src/stack/stack.ts'
import type {} from './servers.ts'
import { openTestServers, type TestServers } from './test-servers.ts'

const report = (line: string): void => void process.stderr.write(`test servers: ${line}\n`)

/** Runs once, in the main process of Vitest: starts the servers and tells the workers where they are. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const servers = await openTestServers(report)
  const control = await openControl(registryOnDemand(servers))
  const { port } = control.address() as AddressInfo
  project.provide('servers', {
    brokers: servers.brokers,
    redisUrl: servers.redisUrl,
    controlUrl: `http://127.0.0.1:${port}`,
    sessionTimeoutMin: givenServers().brokers === null ? '3s' : '6s',
  })
  return async () => {
    control.close()
    await servers.close()
  }
}

/** Starts the registry at the first question for its address, at most once. */
function registryOnDemand(servers: TestServers): () => Promise<string> {
  let started: Promise<string> | null = null
  return async () => givenServers().registryUrl ?? (started ??= servers.startRegistry())
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
