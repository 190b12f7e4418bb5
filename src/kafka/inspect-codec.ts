/** Bytes of the requests that `inspect.ts` makes and kafkajs does not know. Pure. */
import { Reader, Writer } from './wire-types.ts'

/** What the principal may do, by names of Kafka's ACLs; null: the broker does not say. */
export type Operations = ReadonlySet<string> | null

export interface DescribedPartition {
  readonly partition: number
  readonly leader: number
  readonly replicas: number
  readonly inSync: number
}

export interface DescribedTopic {
  readonly errorCode: number
  readonly topic: string
  readonly partitions: readonly DescribedPartition[]
  readonly operations: Operations
}

export interface DescribedGroup {
  readonly errorCode: number
  /** Empty: the group does not exist. */
  readonly state: string
  readonly members: readonly { readonly memberId: string; readonly clientId: string; readonly host: string }[]
  readonly operations: Operations
}

/** Supported levels of a broker's features, by name; such as metadata.version → 29. */
export type Features = ReadonlyMap<string, number>

/** Codes of Kafka's ACL operations. */
const operationNames: Readonly<Record<number, string>> = {
  3: 'Read',
  4: 'Write',
  5: 'Create',
  6: 'Delete',
  7: 'Alter',
  8: 'Describe',
  9: 'ClusterAction',
  10: 'DescribeConfigs',
  11: 'AlterConfigs',
  12: 'IdempotentWrite',
}
const operationsUnknown = -2_147_483_648

function operationsOf(bits: number): Operations {
  if (bits === operationsUnknown) return null
  const names = Object.entries(operationNames)
  return new Set(names.filter(([code]) => (bits & (1 << Number(code))) !== 0).map(([, name]) => name))
}

/** Metadata, the last version with classic types. */
export const metadataRequest = { apiKey: 3, apiVersion: 8, apiName: 'Metadata' } as const

export function encodeMetadata(topics: readonly string[]): Buffer {
  // No auto-creation; no operations on the cluster, those on topics.
  return new Writer().texts(topics).byte(0).byte(0).byte(1).bytes
}

export function decodeMetadata(payload: Buffer): DescribedTopic[] {
  const read = new Reader(payload)
  read.skip(4) // throttle time
  read.array(() => {
    read.skip(4) // node id
    read.text()
    read.skip(4) // port
    read.text() // rack
  })
  read.text() // cluster id
  read.skip(4) // controller
  return read.array(() => {
    const errorCode = read.int16()
    const topic = read.text()
    read.skip(1) // is internal
    const partitions = read.array(() => {
      read.skip(2) // error code
      const partition = read.int32()
      const leader = read.int32()
      read.skip(4) // leader epoch
      const replicas = read.array(() => read.int32()).length
      const inSync = read.array(() => read.int32()).length
      read.array(() => read.int32()) // offline
      return { partition, leader, replicas, inSync }
    })
    return { errorCode, topic, partitions, operations: operationsOf(read.int32()) }
  })
}

/** DescribeGroups, the first version with authorised operations. */
export const groupsRequest = { apiKey: 15, apiVersion: 3, apiName: 'DescribeGroups' } as const

export function encodeGroup(group: string): Buffer {
  return new Writer().texts([group]).byte(1).bytes
}

export function decodeGroup(payload: Buffer): DescribedGroup {
  const read = new Reader(payload)
  read.skip(4) // throttle time
  const [group] = read.array(() => {
    const errorCode = read.int16()
    read.text() // group id
    const state = read.text()
    read.text() // protocol type
    read.text() // protocol
    const members = read.array(() => {
      const member = { memberId: read.text(), clientId: read.text(), host: read.text() }
      read.blob() // metadata
      read.blob() // assignment
      return member
    })
    return { errorCode, state, members, operations: operationsOf(read.int32()) }
  })
  if (group === undefined) throw new RangeError('a broker describes no group')
  return group
}

/** ApiVersions, the first version that tells features. */
export const versionsRequest = { apiKey: 18, apiVersion: 3, apiName: 'ApiVersions' } as const

export function encodeVersions(name: string, version: string): Buffer {
  return new Writer().byte(0).compactText(name).compactText(version).byte(0).bytes
}

export function decodeFeatures(payload: Buffer): Features {
  const read = new Reader(payload)
  const features = new Map<string, number>()
  if (read.int16() !== 0) return features // the broker is older than this version
  read.compactArray(() => {
    read.skip(2 + 2 + 2)
    read.tags()
  })
  read.skip(4) // throttle time
  read.tags((tag) => {
    if (tag !== 0) return false // 0: supported features
    read.compactArray(() => {
      const name = read.compactText()
      read.skip(2) // smallest level
      features.set(name, read.int16())
      read.tags()
    })
    return true
  })
  return features
}
