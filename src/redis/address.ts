/**
 * `store.redis`, one text so that one environment variable can say it all:
 *
 *     redis[s]://[user:password@]host:port[/database]
 *     redis[s]+sentinel://[user:password@]host[:26379],…/master[/database][?sentinel_username=…&sentinel_password=…]
 *     redis[s]+cluster://[user:password@]host[:6379],…
 *
 * rediss: TLS, to the sentinels too.
 */
export type RedisAddress =
  | { readonly kind: 'standalone'; readonly url: string; readonly shown: string }
  | (Servers & {
      readonly kind: 'sentinel'
      /** Name under which the sentinels know the servers. */
      readonly master: string
      readonly database: number
      readonly sentinelUsername: string | null
      readonly sentinelPassword: string | null
    })
  | (Servers & { readonly kind: 'cluster' })

interface Servers {
  /** Where to ask first: sentinels, or nodes of the cluster. */
  readonly nodes: readonly RedisNode[]
  readonly username: string | null
  readonly password: string | null
  readonly tls: boolean
  /** For messages: without credentials. */
  readonly shown: string
}

export interface RedisNode {
  readonly host: string
  readonly port: number
}

const credentials = String.raw`([^\s/@]*@)?`
const node = String.raw`(\[[0-9A-Fa-f:.]+\]|[^\s/@,:?[\]]+)(:\d{1,5})?`
const nodes = `${node}(,${node})*`

export const redisAddressPattern = new RegExp(
  [
    String.raw`^rediss?:\/\/([^\s@]*@)?[^\s@,]+$`,
    String.raw`^rediss?\+cluster:\/\/${credentials}${nodes}\/?$`,
    String.raw`^rediss?\+sentinel:\/\/${credentials}${nodes}\/[^\s/?]+(\/\d{1,4})?(\?\S*)?$`,
  ].join('|'),
)

/** Of a text that matches the pattern. */
export function parseRedisAddress(text: string): RedisAddress {
  const [scheme, behind] = split(text, '://')
  const kind = scheme.split('+')[1]
  if (kind === undefined) {
    const [shown = ''] = behind.slice(behind.lastIndexOf('@') + 1).split(/[/?]/)
    return { kind: 'standalone', url: text, shown }
  }
  const [front, query] = split(behind, '?')
  const [authority = '', master = '', database = '0'] = front.split('/')
  const [user, places] = authority.includes('@') ? split(authority, '@') : ['', authority]
  const [username, password] = split(user, ':')
  const servers = {
    username: orNull(decodeURIComponent(username)),
    password: orNull(decodeURIComponent(password)),
    tls: scheme.startsWith('rediss'),
    nodes: places.split(',').map((place) => nodeOf(place, kind === 'sentinel' ? 26379 : 6379)),
  }
  if (kind === 'cluster') return { kind, ...servers, shown: `cluster ${places}` }
  const options = new URLSearchParams(query)
  return {
    kind: 'sentinel',
    ...servers,
    master: decodeURIComponent(master),
    database: Number(database),
    sentinelUsername: options.get('sentinel_username'),
    sentinelPassword: options.get('sentinel_password'),
    shown: `${decodeURIComponent(master)} (sentinels ${places})`,
  }
}

/** State is spread over as many buckets, each in one slot of a cluster. Part of the namespace. */
export function bucketsOn(address: RedisAddress): number {
  return address.kind === 'cluster' ? 64 : 1
}

function nodeOf(place: string, portElse: number): RedisNode {
  const colon = place.lastIndexOf(':')
  const hasPort = colon > place.lastIndexOf(']')
  const host = (hasPort ? place.slice(0, colon) : place).replace(/^\[|\]$/g, '')
  return { host, port: hasPort ? Number(place.slice(colon + 1)) : portElse }
}

/** Before and behind the first `mark`; nothing behind when there is none. */
function split(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + mark.length)]
}

function orNull(text: string): string | null {
  return text === '' ? null : text
}
