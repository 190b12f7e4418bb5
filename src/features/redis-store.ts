import type { RedisClient, Reply } from '../redis/client.ts'
import type { Layout } from './compiled.ts'
import { placeOf, type PartPlace } from './part-key.ts'
import {
  begunPrefix,
  tornPrefix,
  type FeatureStore,
  type FlushRequest,
  type LoadRequest,
  type MergedKey,
} from './store.ts'

/**
 * Layout in Redis, `ns` = namespace, `{b}` = bucket as hash tag (one slot per bucket on a cluster):
 *   ns:{b}:W                       hash  input name → watermark
 *   ns:{b}:p:<layout>:<input>:<entity>   string  a part that only its own partition reads
 *   ns:{b}:m:<layout>:<entity>     hash  input name → part, of shared layouts
 */

/**
 * KEYS: W, parts, own fields of hashes, hashes. ARGV: own input, number of parts, number of own fields, number of inputs;
 * per input its name and the watermark whose parts the caller holds ('' = none); number of patterns; the patterns; per
 * hash the number of its pattern (0 = all fields are wanted). A pattern names inputs by number: `+3` is wanted, `-3` is
 * held and wanted only under another watermark. Where nothing that is held counts, the whole hash is read.
 */
const loadScript = `
local parts, fields, count = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local out = { redis.call('HGETALL', KEYS[1]) }
for i = 2, 1 + parts do out[#out + 1] = redis.call('GET', KEYS[i]) end
for i = 2 + parts, 1 + parts + fields do out[#out + 1] = redis.call('HGET', KEYS[i], ARGV[1]) end
local inputs, same = {}, {}
for i = 1, count do
  inputs[i] = ARGV[3 + 2 * i]
  local held = ARGV[4 + 2 * i]
  same[i] = held ~= '' and redis.call('HGET', KEYS[1], inputs[i]) == held
end
local patterns, first = tonumber(ARGV[5 + 2 * count]), 5 + 2 * count
local wanted = {}
for p = 1, patterns do
  local names, whole = {}, true
  for sign, number in string.gmatch(ARGV[first + p], '([-+])(%d+)') do
    local i = tonumber(number)
    if sign == '-' and same[i] then whole = false else names[#names + 1] = inputs[i] end
  end
  if not whole then wanted[p] = names end
end
local hashes = first + patterns - 1 - parts - fields
for i = 2 + parts + fields, #KEYS do
  local names = wanted[tonumber(ARGV[hashes + i])]
  if names then
    local found = {}
    for _, name in ipairs(names) do
      local bytes = redis.call('HGET', KEYS[i], name)
      if bytes then
        found[#found + 1] = name
        found[#found + 1] = bytes
      end
    end
    out[#out + 1] = found
  else out[#out + 1] = redis.call('HGETALL', KEYS[i]) end
end
return out
`

/**
 * KEYS: W, one per change. ARGV: own input, expected watermark ('' = absent), next, expiry ms, then kind and bytes
 * per change. Redis does not roll back a script that fails midway: TORN makes the failure visible. So it does where there
 * is nothing to put bytes behind: the part expired, and its owner writes it whole after a rebuild. TIME in µs: no two
 * scripts run in the same one.
 */
const flushScript = `
local w = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if w ~= ARGV[2] then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  return { 0, w }
end
local next = ARGV[3]
if string.sub(next, 1, ${begunPrefix.length}) == '${begunPrefix}' then
  local time = redis.call('TIME')
  next = next .. ':' .. time[1] .. string.format('%06d', tonumber(time[2]))
end
local torn = '${tornPrefix}' .. next
redis.call('HSET', KEYS[1], ARGV[1], torn)
for i = 2, #KEYS do
  local kind, bytes = ARGV[1 + 2 * i], ARGV[2 + 2 * i]
  if kind == 's' then redis.call('SET', KEYS[i], bytes, 'PX', ARGV[4])
  else
    if kind == 'S' then redis.call('HSET', KEYS[i], ARGV[1], bytes)
    elseif kind == 'a' then
      if redis.call('EXISTS', KEYS[i]) == 0 then return { 0, torn } end
      redis.call('APPEND', KEYS[i], bytes)
    else
      local before = redis.call('HGET', KEYS[i], ARGV[1])
      if not before then return { 0, torn } end
      redis.call('HSET', KEYS[i], ARGV[1], before .. bytes)
    end
    redis.call('PEXPIRE', KEYS[i], ARGV[4])
  end
end
redis.call('HSET', KEYS[1], ARGV[1], next)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return { 1, next }
`

const watermarkScript = `return redis.call('HGETALL', KEYS[1])`

export const featureScripts: ReadonlyMap<string, string> = new Map([
  ['millraceLoad', loadScript],
  ['millraceFlush', flushScript],
  ['millraceWatermarks', watermarkScript],
])

export interface RedisStoreOptions {
  readonly client: RedisClient
  readonly namespace: string
  readonly layouts: readonly Layout[]
  readonly buckets: number
}

/** A script of 10 000 writes holds up the server for some 20 ms; Redis takes 1 048 576 arguments, of at most 512 MB each. */
const flushMax = { changes: 10_000, bytes: 16 * 1024 * 1024 } as const

export function createRedisStore({ client, namespace, layouts, buckets }: RedisStoreOptions): FeatureStore {
  const keyIn = (bucket: number, key: string): string => `${namespace}:{${bucket}}:${key}`
  const watermarkKey = (bucket: number): string => keyIn(bucket, 'W')
  return {
    buckets,
    flushMax,
    bucketOf: (entityKey) => (buckets === 1 ? 0 : fnv1a(entityKey) % buckets),
    async watermarks(bucket, signal) {
      const reply = await client.run(
        { script: 'millraceWatermarks', keys: [watermarkKey(bucket)], args: [] },
        signal,
      )
      return texts(reply)
    },
    async load(bucket, request, signal) {
      const { order, keys, parts, fields } = loadKeys(layouts, request)
      const reply = await client.run(
        {
          script: 'millraceLoad',
          keys: [watermarkKey(bucket), ...keys.map((key) => keyIn(bucket, key))],
          args: [request.inputName, String(parts), String(fields), ...heldArguments(request)],
        },
        signal,
      )
      const items = list(reply)
      const own: (Buffer | null)[] = Array.from({ length: request.own.length }, () => null)
      for (const [at, index] of order.entries()) own[index] = bytesOrNull(items[1 + at])
      return {
        watermarks: texts(items[0] ?? null),
        own,
        merged: request.merged.map((_, index) => fieldBytes(items[1 + parts + fields + index] ?? null)),
      }
    },
    async flush(bucket, request, signal) {
      const places = request.changes.map((change) => placeOf(layouts, change, request.inputName))
      const reply = list(
        await client.run(
          {
            script: 'millraceFlush',
            keys: [watermarkKey(bucket), ...places.map(({ key }) => keyIn(bucket, key))],
            args: flushArguments(request, places),
          },
          signal,
        ),
      )
      const current = bytesOrNull(reply[1])?.toString() ?? ''
      return { applied: reply[0] === 1, current: current === '' ? null : current }
    },
  }
}

/** What is held of merged keys, as `loadScript` takes it. */
export function heldArguments({ merged, held = new Map() }: LoadRequest): string[] {
  const inputs = [...new Set(merged.flatMap((key) => (key.held === undefined ? [] : (key.inputs ?? []))))]
  const numbers = new Map(inputs.map((input, index) => [input, index + 1]))
  const patterns = new Map<string, number>()
  const patternOf = (key: MergedKey): number => {
    if (key.held === undefined || key.held.size === 0) return 0
    const text = (key.inputs ?? [])
      .map((input) => `${key.held?.has(input) === true ? '-' : '+'}${numbers.get(input)}`)
      .join('')
    const number = patterns.get(text) ?? patterns.size + 1
    patterns.set(text, number)
    return number
  }
  const ofKeys = merged.map((key) => String(patternOf(key)))
  return [
    String(inputs.length),
    ...inputs.flatMap((input) => [input, held.get(input) ?? '']),
    String(patterns.size),
    ...patterns.keys(),
    ...ofKeys,
  ]
}

function flushArguments(request: FlushRequest, places: readonly PartPlace[]): (string | Buffer)[] {
  const args: (string | Buffer)[] = [
    request.inputName,
    request.expected ?? '',
    request.next,
    String(request.ttlMs),
  ]
  for (const [index, change] of request.changes.entries()) {
    const kind = change.kind === 'set' ? 's' : 'a'
    args.push(places[index]?.shared === true ? kind.toUpperCase() : kind, change.bytes)
  }
  return args
}

/** Own parts that are strings come first, then own fields of hashes: `order` maps back to the request. */
function loadKeys(
  layouts: readonly Layout[],
  { inputName, own, merged }: LoadRequest,
): { order: number[]; keys: string[]; parts: number; fields: number } {
  const places = own.map((key) => placeOf(layouts, key, inputName))
  const strings: number[] = []
  const hashed: number[] = []
  for (const [index, { shared }] of places.entries()) (shared ? hashed : strings).push(index)
  const order = [...strings, ...hashed]
  const keys = [
    ...order.map((index) => (places[index] as PartPlace).key),
    ...merged.map((key) => placeOf(layouts, key, inputName).key),
  ]
  return { order, keys, parts: strings.length, fields: hashed.length }
}

function list(reply: Reply | undefined): readonly Reply[] {
  return Array.isArray(reply) ? (reply as readonly Reply[]) : []
}

function bytesOrNull(reply: Reply | undefined): Buffer | null {
  return Buffer.isBuffer(reply) ? reply : null
}

function fieldBytes(reply: Reply): ReadonlyMap<string, Buffer> {
  const fields = new Map<string, Buffer>()
  const items = list(reply)
  for (let i = 0; i + 1 < items.length; i += 2) {
    const name = bytesOrNull(items[i])
    const bytes = bytesOrNull(items[i + 1])
    if (name !== null && bytes !== null) fields.set(name.toString(), bytes)
  }
  return fields
}

function texts(reply: Reply): ReadonlyMap<string, string> {
  return new Map([...fieldBytes(reply)].map(([name, bytes]) => [name, bytes.toString()]))
}

/** Bucket of an entity; part of the namespace, so never change it for existing state. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}
