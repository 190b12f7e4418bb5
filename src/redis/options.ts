import { text } from '../expression/written.ts'
import { redisAddressPattern } from './address.ts'

/** `store.redis`. */
export const redisOption = text({
  pattern: redisAddressPattern,
  expected:
    'a Redis address; write redis://host:port, redis+sentinel://host:port,host:port/master or redis+cluster://host:port,host:port (rediss: TLS)',
  secret: true,
})
  .prefault('redis://127.0.0.1:6379')
  .describe(
    'Address of Redis: `redis://host:port`, `redis+sentinel://host:port,…/master` (sentinels, and the name they know) or `redis+cluster://host:port,…` (some nodes); `rediss…` for TLS. User and password in front, as in `redis://user:password@…`. The maxmemory-policy must be noeviction.',
  )
