/**
 * The parts of kafkajs 2.2.4 that the patches touch. Read from its published source (the package ships
 * types for its public face only); valid for exactly that version.
 */
export interface TopicPartitions {
  readonly topic: string
  readonly partitions: number[]
}

export interface Broker {
  readonly nodeId: number | string
  isConnected(): boolean
}

/** A broker as the coordinator of a consumer group. */
export interface GroupCoordinator extends Broker {
  describeGroups(request: { groupIds: string[] }): Promise<{
    readonly groups: readonly {
      readonly members: readonly { readonly memberId: string; readonly clientId: string }[]
    }[]
  }>
  /** Rejects with UNKNOWN_MEMBER_ID when the member is gone. */
  leaveGroup(request: { groupId: string; memberId: string }): Promise<unknown>
}

export interface Cluster {
  readonly brokerPool: { readonly brokers: Readonly<Record<string, Broker>> }
  findGroupCoordinator(request: CoordinatorRequest): Promise<Broker>
}

/** The cluster of a consumer. */
export interface ConsumerCluster extends Cluster {
  refreshMetadata(): Promise<void>
  findBroker(request: { nodeId: number | string }): Promise<MemberCoordinator>
  /** Asks one of the brokers. */
  findGroupCoordinatorMetadata(request: {
    groupId: string
    coordinatorType: number
  }): Promise<{ readonly coordinator: { readonly nodeId: number | string } }>
}

/** A broker as the coordinator of a member. */
export interface MemberCoordinator extends Broker {
  heartbeat(request: {
    readonly groupId: string
    readonly memberId: string
    readonly groupGenerationId: number | null
  }): Promise<unknown>
}

export interface CoordinatorRequest {
  readonly groupId: string
  /** 0 or absent: consumer group; 1: transaction. */
  readonly coordinatorType?: number
}

/** A member about to join. */
export interface JoiningMember extends GroupControl {
  readonly cluster: Cluster
}

/** What the source may do with the group it is a member of. */
export interface GroupControl {
  seek(target: { topic: string; partition: number; offset: string }): void
  pause(topicPartitions: TopicPartitions[]): void
  resume(topicPartitions: TopicPartitions[]): void
  heartbeat(options: { interval: number }): Promise<void>
}

export interface ConsumerGroup extends JoiningMember {
  readonly cluster: ConsumerCluster
  readonly groupId: string
  readonly generationId: number | null
  /** ms */
  readonly sessionTimeout: number
  /** Null before the first join. */
  coordinator: MemberCoordinator | null
  /** Remembers the coordinator of its own; null before the first join. */
  readonly offsetManager: { coordinator: Broker } | null
  /** Wall clock of the last accepted heartbeat. */
  lastRequest: number
  readonly instrumentationEmitter: { emit(event: string, payload: object): void }
  readonly logger: { warn(message: string, extra: object): void }
  /** Null before the first join and after leaving. */
  memberId: string | null
  readonly preferredReadReplicasPerTopicPartition: Record<string, Record<number, unknown> | undefined>
  fetch(nodeId: string): Promise<KafkajsBatch[]>
  joinAndSync(): Promise<void>
  leave(): Promise<void>
  /** After a failed fetch: resolves when the next one may be tried. */
  recoverFromFetch(error: unknown): Promise<void>
  recoverFromOffsetOutOfRange(error: { topic: string; partition: number }): Promise<void>
  resolveOffset(target: { topic: string; partition: number; offset: string }): void
}

/** One partition's part of a fetch response as kafkajs hands it on; the records stay bytes (P-F). */
export interface KafkajsBatch {
  readonly topic: string
  readonly partition: number
  /** The offset that was asked for. */
  readonly fetchedOffset: string
  readonly highWatermark: string
  /** Everything in the response. */
  rawMessages: readonly unknown[]
  /** Of them those at or after `fetchedOffset`; the last one says how far the batch goes. */
  messagesWithinOffset: readonly unknown[]
  /** Of them the committed data records. */
  messages: readonly unknown[]
}

export interface RequestQueue {
  readonly pending: readonly unknown[]
  scheduleCheckPendingRequests(): void
}

/** A class as the patches see it: only its prototype matters. */
export interface Patchable<T> {
  readonly prototype: T
}
