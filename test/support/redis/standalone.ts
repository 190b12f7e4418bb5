import { freePorts } from '../../../src/stack/ports.ts'
import { RedisNode, startTogether } from './node.ts'

export interface StandaloneOptions {
  /** Working folder; removed when this process dies without stopping the server. */
  readonly dir: string
  readonly args?: readonly string[]
}

/** One Redis that keeps nothing on disk unless `args` say so. */
export function startStandalone({ dir, args = [] }: StandaloneOptions): Promise<RedisNode> {
  return startTogether(async (keep) => {
    const [port = 0] = await freePorts(1)
    return keep(await RedisNode.start({ dir, port, args }))
  })
}
