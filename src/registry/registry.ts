import { SchemaRegistry } from '@kafkajs/confluent-schema-registry'
import type { SchemaRegistryAPIClientArgs } from '@kafkajs/confluent-schema-registry/dist/api/index.js'
import { MillraceError } from '../errors.ts'
import { untilAborted } from '../time/until-aborted.ts'

/** What an id of the registry stands for. Ids are immutable: the answer for a known id never changes. */
export type RegisteredSchema =
  | {
      readonly kind: 'avro'
      readonly id: number
      readonly schema: string
      /** Schemas whose types it names, each behind those it names itself; absent: none. */
      readonly references?: readonly string[]
    }
  | { readonly kind: 'json'; readonly id: number; readonly schema: string }
  /** Registered, but nothing that records can be read with (Protobuf, or no schema at all). */
  | { readonly kind: 'unusable'; readonly id: number; readonly why: string }

/**
 * Read access to a Confluent-compatible schema registry. Unknown is a value (null), trouble is thrown:
 * REGISTRY_UNREACHABLE (the caller retries) or REGISTRY_UNAUTHORISED. Nothing is cached here, and nothing is ever
 * registered: see register-schema.ts for development and tests.
 */
export interface Registry {
  /** Address without credentials, for messages. */
  readonly url: string
  writerSchema(id: number, signal: AbortSignal): Promise<RegisteredSchema | null>
  /** Id of the subject's newest version; null when the subject does not exist. */
  latestId(subject: string, signal: AbortSignal): Promise<number | null>
  schemaFor(subject: string, signal: AbortSignal): Promise<RegisteredSchema | null>
}

export interface RegistryOptions {
  /** http(s)://user:password@host:port/path; credentials are optional. */
  readonly url: string
  readonly requestTimeoutMs?: number
}

/** How the client words a 404 without a message, which a registry always gives: the address is not a registry's. */
const strangers404 = /Error, status 404/

/** A registry answers in milliseconds; one that takes this long is down. */
const defaultRequestTimeoutMs = 10_000

export function openRegistry(options: RegistryOptions): Registry {
  const { url, args } = clientArguments(options)
  // What the client asks by: asked itself, it would compile every schema, and refuse those with an invalid default.
  const api = new SchemaRegistry(args)['api'] as Api

  const ask = async <T>(what: string, signal: AbortSignal, request: () => Promise<T>): Promise<T | null> => {
    signal.throwIfAborted()
    try {
      return await untilAborted(request(), signal)
    } catch (error) {
      if (signal.aborted) throw error
      const status = statusOf(error)
      if (status === null) throw error
      if (status === 404 && !strangers404.test(messageOf(error))) return null
      throw trouble(url, what, status, error)
    }
  }

  const writerSchema = async (id: number, signal: AbortSignal): Promise<RegisteredSchema | null> => {
    const found = await ask(`schema id ${id}`, signal, () => answerOf<WrittenSchema>(api.Schema.find({ id })))
    if (found === null) return null
    const schemaType = found.schemaType ?? 'AVRO'
    if (schemaType === 'JSON') return { kind: 'json', id, schema: found.schema }
    if (schemaType !== 'AVRO') {
      const name = schemaType === 'PROTOBUF' ? 'Protobuf' : schemaType
      return {
        kind: 'unusable',
        id,
        why: `it is ${name}, which millrace does not read (Avro and JSON Schema it does)`,
      }
    }
    const references = await referencesOf(found, signal, new Set())
    if (references === null) return null
    return { kind: 'avro', id, schema: found.schema, ...(references.length > 0 ? { references } : {}) }
  }

  /** Null: the registry does not know one of them (yet). */
  const referencesOf = async (
    { references = [] }: WrittenSchema,
    signal: AbortSignal,
    seen: Set<string>,
  ): Promise<readonly string[] | null> => {
    const found: string[] = []
    for (const { subject, version } of references) {
      const what = `version ${version} of subject ${subject}`
      if (seen.has(what)) continue
      seen.add(what)
      const request = () => answerOf<WrittenSchema>(api.Subject.version({ subject, version }))
      const schema = await ask(what, signal, request)
      const below = schema === null ? null : await referencesOf(schema, signal, seen)
      if (schema === null || below === null) return null
      found.push(...below, schema.schema)
    }
    return found
  }

  const latestId = (subject: string, signal: AbortSignal): Promise<number | null> =>
    ask(`subject ${subject}`, signal, async () => {
      return (await answerOf<{ readonly id: number }>(api.Subject.latestVersion({ subject }))).id
    })

  return {
    url,
    writerSchema,
    latestId,
    async schemaFor(subject, signal) {
      const id = await latestId(subject, signal)
      return id === null ? null : writerSchema(id, signal)
    },
  }
}

/** Arguments of the client library: no retries of its own (the caller's clock decides), a time limit per request. */
export function clientArguments({
  url: written,
  requestTimeoutMs = defaultRequestTimeoutMs,
}: RegistryOptions): { readonly url: string; readonly args: SchemaRegistryAPIClientArgs } {
  if (!URL.canParse(written)) {
    throw new MillraceError(
      'TOPOLOGY_INVALID',
      'registry.url is not an address; expected e.g. http://127.0.0.1:8081',
    )
  }
  const address = new URL(written)
  const username = decodeURIComponent(address.username)
  const password = decodeURIComponent(address.password)
  address.username = ''
  address.password = ''
  const url = address.href.replace(/\/+$/, '')
  return {
    url,
    args: {
      host: url,
      retry: { retries: 0 },
      middlewares: [
        () => ({
          request: (request) => Promise.resolve(request.enhance({ timeout: requestTimeoutMs })),
          response: (next) => next().then(refuseStrangers),
        }),
      ],
      ...(username === '' ? {} : { auth: { username, password } }),
    },
  }
}

/** An answer of somebody else than a registry, e.g. a proxy's page: trouble that is waited out. */
class StrangersAnswer extends Error {
  readonly status = 502
}

/** A page with status 200 must not be taken for a schema: that would make dead letters of good records. */
function refuseStrangers<R extends Answer>(answer: R): R {
  const data = answer.data()
  const isObject = typeof data === 'object' && data !== null
  const isSchemaLookup = answer.request().path().includes('/schemas/ids/')
  if (isObject && (!isSchemaLookup || ('schema' in data && typeof data.schema === 'string'))) return answer
  throw new StrangersAnswer('the answer is not that of a schema registry')
}

interface Answer {
  data(): unknown
  request(): { path(): string }
}

/** A schema as the registry gives it. */
interface WrittenSchema {
  readonly schema: string
  /** Absent: AVRO. */
  readonly schemaType?: string
  readonly references?: readonly { readonly subject: string; readonly version: number }[]
}

/** What is used of the client's own way to ask. */
interface Api {
  readonly Schema: { find(what: { readonly id: number }): Promise<Response> }
  readonly Subject: {
    latestVersion(what: { readonly subject: string }): Promise<Response>
    version(what: { readonly subject: string; readonly version: number }): Promise<Response>
  }
}

interface Response {
  data(): unknown
}

async function answerOf<T>(response: Promise<Response>): Promise<T> {
  return (await response).data() as T
}

function trouble(url: string, what: string, status: number, cause: unknown): MillraceError {
  const refused = status === 401 || status === 403
  return new MillraceError(
    refused ? 'REGISTRY_UNAUTHORISED' : 'REGISTRY_UNREACHABLE',
    `Registry ${url} ${refused ? 'refuses' : 'did not answer'} the request for ${what}: ${messageOf(cause)}`,
    { cause },
  )
}

/** Status of the client's ResponseError (connection trouble shows as 400); null for any other error. */
function statusOf(error: unknown): number | null {
  if (typeof error !== 'object' || error === null || !('status' in error)) return null
  return typeof error.status === 'number' ? error.status : null
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
