import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { MillraceError } from '../errors.ts'

const host = '127.0.0.1'

/** Distinct ports nobody listens on at this moment; all are held until the last is found. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = []
  try {
    for (let i = 0; i < count; i++) servers.push(await listen(0))
    return servers.map(portOf)
  } finally {
    await Promise.all(servers.map(close))
  }
}

/** Throws STACK_UNAVAILABLE, naming the server that wants it, when somebody listens on `port`. */
export async function assertPortFree(port: number, wantedBy: string): Promise<void> {
  try {
    await close(await listen(port))
  } catch (cause) {
    const message =
      `Port ${port} for ${wantedBy} is taken. Stop the program that listens there ` +
      `(\`lsof -i :${port}\` names it), or choose another port.`
    throw new MillraceError('STACK_UNAVAILABLE', message, { cause })
  }
}

async function listen(port: number): Promise<Server> {
  const server = createServer()
  server.listen(port, host)
  await once(server, 'listening')
  return server
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string')
    throw new MillraceError('INTERNAL', 'A TCP server has no port.')
  return address.port
}

async function close(server: Server): Promise<void> {
  server.close()
  await once(server, 'close')
}
