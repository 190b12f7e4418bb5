/** Names of the APIs by key, as the protocol guide has them. */
export const kafkaApis: readonly string[] = [
  'Produce',
  'Fetch',
  'ListOffsets',
  'Metadata',
  'LeaderAndIsr',
  'StopReplica',
  'UpdateMetadata',
  'ControlledShutdown',
  'OffsetCommit',
  'OffsetFetch',
  'FindCoordinator',
  'JoinGroup',
  'Heartbeat',
  'LeaveGroup',
  'SyncGroup',
  'DescribeGroups',
  'ListGroups',
  'SaslHandshake',
  'ApiVersions',
  'CreateTopics',
  'DeleteTopics',
  'DeleteRecords',
  'InitProducerId',
  'OffsetForLeaderEpoch',
  'AddPartitionsToTxn',
  'AddOffsetsToTxn',
  'EndTxn',
  'WriteTxnMarkers',
  'TxnOffsetCommit',
  'DescribeAcls',
  'CreateAcls',
  'DeleteAcls',
  'DescribeConfigs',
  'AlterConfigs',
  'AlterReplicaLogDirs',
  'DescribeLogDirs',
  'SaslAuthenticate',
  'CreatePartitions',
  'CreateDelegationToken',
  'RenewDelegationToken',
  'ExpireDelegationToken',
  'DescribeDelegationToken',
  'DeleteGroups',
  'ElectLeaders',
  'IncrementalAlterConfigs',
  'AlterPartitionReassignments',
  'ListPartitionReassignments',
  'OffsetDelete',
]

/** The header of a request; see https://kafka.apache.org/protocol. */
export interface KafkaHeader {
  readonly api: string
  readonly version: number
  readonly correlationId: number
  readonly clientId: string | null
  /** What follows the client id. */
  readonly body: Buffer
}

/** Reads a whole frame; null when it is too short for a header. */
export function kafkaHeader(frame: Buffer): KafkaHeader | null {
  const fixedBytes = 4 + 2 + 2 + 4 + 2
  if (frame.length < fixedBytes) return null
  const key = frame.readInt16BE(4)
  const clientIdLength = frame.readInt16BE(12)
  const bodyAt = fixedBytes + Math.max(0, clientIdLength)
  if (clientIdLength < -1 || bodyAt > frame.length) return null
  return {
    api: kafkaApis[key] ?? `Api${key}`,
    version: frame.readInt16BE(6),
    correlationId: frame.readInt32BE(8),
    clientId: clientIdLength < 0 ? null : frame.toString('utf8', fixedBytes, bodyAt),
    body: frame.subarray(bodyAt),
  }
}

/** First version of an API whose fields are in the compact encoding, which is not read here; kafkajs never uses it. */
const firstCompact: Readonly<Record<string, number>> = {
  Produce: 9,
  InitProducerId: 2,
  AddPartitionsToTxn: 3,
  AddOffsetsToTxn: 3,
  EndTxn: 3,
  TxnOffsetCommit: 3,
}

/** The transactional id of a request that names one; null for all others. */
export function transactionalIdOf(frame: Buffer): string | null {
  const header = kafkaHeader(frame)
  if (header === null || header.version >= (firstCompact[header.api] ?? 0)) return null
  const { body } = header
  if (body.length < 2) return null
  const length = body.readInt16BE(0)
  return length < 0 || body.length < 2 + length ? null : body.toString('utf8', 2, 2 + length)
}

/** Whether an EndTxn commits; null for all else. */
export function isCommit(frame: Buffer): boolean | null {
  const header = kafkaHeader(frame)
  if (header?.api !== 'EndTxn' || transactionalIdOf(frame) === null) return null
  return header.body.at(-1) === 1 // its last field: committed
}
