import { text } from '../expression/written.ts'

/** `store.redis`. */
export const redisOption = text({
  pattern: /^rediss?:\/\/\S+$/,
  expected: 'a Redis address; write redis://host:port or rediss://host:port',
  secret: true,
})
  .prefault('redis://127.0.0.1:6379')
  .describe(
    'Address of Redis: `redis://` or `rediss://` (TLS), with user and password if needed. Its maxmemory-policy must be noeviction.',
  )
