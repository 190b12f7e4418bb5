/** One small mistake in the source, as text: `find` occurs exactly once in `file`. */
export interface Mutant {
  readonly name: string
  readonly file: string
  readonly find: string
  readonly replace: string
}

/** `scripts/sabotage.ts` makes each of these in a copy of the source; the simulation must turn red. */
export const mutants: readonly Mutant[] = [
  {
    name: 'a partition that was seen at its end once counts as read to its end',
    file: 'src/pipeline/peers.ts',
    find: 'if (end !== undefined && watermark.offset >= end) continue',
    replace: 'if (watermark.caughtUpAt > 0) continue\n      void end',
  },
  {
    name: 'events wait for nobody, and none says so',
    file: 'src/pipeline/alignment.ts',
    find: 'decoded.findIndex((item) => !isReject(item) && item.time > until)',
    replace: 'decoded.findIndex((item) => !isReject(item) && item.time > until && item.time < 0)',
  },
  {
    name: 'what was scored before the others had caught up has no flag',
    file: 'src/pipeline/slice.ts',
    find: "const flags: AppliedRow['flags'] = [...applied.flags, 'unaligned']",
    replace: "const flags: AppliedRow['flags'] = applied.flags",
  },
  {
    name: 'one feature without delay is enough for nobody to wait',
    file: 'src/pipeline/peers.ts',
    find: 'feature.delayMs > 0',
    replace: 'feature.delayMs >= 0',
  },
  {
    name: 'shares of a source that is not scored lie apart unless the entity is merged',
    file: 'src/features/part-key.ts',
    find: 'layouts[layout]?.shared === true',
    replace: 'layouts[layout]?.merge === true',
  },
  {
    name: 'the store does not compare before it sets',
    file: 'src/features/memory-store.ts',
    find: 'if (current !== request.expected) return',
    replace: 'if (current !== null && current.startsWith("TORN")) return',
  },
  {
    name: 'a torn script leaves the old watermark',
    file: 'src/features/memory-store.ts',
    find: 'watermarks.set(inputName, tornBy(next))',
    replace: 'void tornBy',
  },
  {
    name: 'a refused flush is taken for an applied one',
    file: 'src/pipeline/flusher.ts',
    find: 'if (!applied && !sameProgress(parseWatermark(current), next)) throw this.#mismatch(index, current)',
    replace: 'void sameProgress',
  },
  {
    name: 'a Redis that went back in time is gone on from',
    file: 'src/pipeline/flusher.ts',
    find: 'if (!applied && !sameProgress(parseWatermark(current), next)) throw this.#mismatch(index, current)',
    replace:
      'if (!applied && !sameProgress(parseWatermark(current), next)) {\n' +
      '      bucket.expected = current\n' +
      '      return this.#flushBucket(index, target, signal)\n' +
      '    }',
  },
  {
    name: 'a rebuild begins with its data',
    file: 'src/pipeline/flusher.ts',
    find: 'begun: !bucket.rebuild,',
    replace: 'begun: true,',
  },
  {
    name: 'a begun watermark is trusted',
    file: 'src/pipeline/flusher.ts',
    find: 'const text = begunWatermark(incarnation, bucket.build)',
    replace:
      'void begunWatermark\n' +
      '    const began = { ...this.#options.replayFrom, offset: bucket.offset }\n' +
      '    const text = encodeWatermark({ ...this.#nextWatermark(bucket, began), incarnation })',
  },
  {
    name: 'a build that is begun again is the same',
    file: 'src/features/memory-store.ts',
    find: '`${request.next}:${++this.#begun}`',
    replace: '`${request.next}:${(this.#begun = 1)}`',
  },
  {
    name: 'nobody notices that what he stored may have expired',
    file: 'src/pipeline/flusher.ts',
    find: 'if (index < 0) return',
    replace: 'if (index < 1_000) return',
  },
  {
    name: 'what others stored is read although it may have expired',
    file: 'src/pipeline/peers.ts',
    find: '!outageExceeded(watermark, nowMs, outageMaxMs)',
    replace: '!outageExceeded(watermark, nowMs - 1e12, outageMaxMs)',
  },
  {
    name: 'loads accept any own watermark, and so do flushes of equal offset',
    file: 'src/pipeline/part-loader.ts',
    find: 'if (options.flusher.expects(bucket, text)) return',
    replace: 'if (options.flusher.expects(bucket, text) || text !== null) return',
  },
  {
    name: 'parts with unflushed changes are evicted',
    file: 'src/pipeline/partition-memory.ts',
    find: 'else if (next.value.unflushedFrom < 0) this.#drop(next.value)',
    replace: 'else this.#drop(next.value)',
  },
  {
    name: 'a part counts as flushed although later events are in it',
    file: 'src/pipeline/partition-memory.ts',
    find: 'if (entry.log.lastOffset < offset) {',
    replace: 'if (entry.log.lastOffset < offset + 5) {',
  },
  {
    name: 'a flush writes events that are not committed',
    file: 'src/pipeline/partition-memory.ts',
    find: 'bytes: this.#features.encode(layout, log, offset),',
    replace: 'bytes: this.#features.encode(layout, log, offset + 1_000),',
  },
  {
    name: 'appends begin at the wrong event',
    file: 'src/pipeline/partition-memory.ts',
    find: 'encodeTail(layout, log, entry.unflushedFrom, offset)',
    replace: 'encodeTail(layout, log, entry.unflushedFrom - 2, offset)',
  },
  {
    name: 'after a missing watermark changes are put behind what is stored',
    file: 'src/pipeline/flusher.ts',
    find: "return stored.subarray(0, 4).equals(Buffer.from(build, 'hex')) ? stored.subarray(4) : null",
    replace: "return Buffer.from(build, 'hex').length === 4 ? stored.subarray(4) : null",
  },
  {
    name: 'changes go to the flusher before the commit',
    file: 'src/pipeline/commit-slice.ts',
    find: 'const encodedAt = clock.monotonic()',
    replace:
      'owned.flusher.committed({ offset: slice.next, maxTime: slice.maxTime }, 0)\n  const encodedAt = clock.monotonic()',
  },
  {
    name: 'a quiet advance with work queued',
    file: 'src/pipeline/flusher.ts',
    find: 'const changes = memory.changesBelow(index, target.offset)',
    replace:
      'const changes = target.offset - bucket.offset === 1 ? [] : memory.changesBelow(index, target.offset)',
  },
  {
    name: 'nothing is re-applied at a takeover',
    file: 'src/pipeline/takeover.ts',
    find: 'owned.applier.replay(event)',
    replace: 'owned.memory.maxTime = Math.max(owned.memory.maxTime ?? 0, event.time)',
  },
  {
    name: 'what a bucket holds already is applied again',
    file: 'src/pipeline/takeover.ts',
    find: 'replayedFrom[shared.store.bucketOf(entityKey)] ?? 0',
    replace: 'replayedFrom.length < 0 ? Number(entityKey) : 0',
  },
  {
    name: 'the event watermark is forgotten at a takeover',
    file: 'src/pipeline/takeover.ts',
    find: 'memory.maxTime = plan.replayFrom.maxTime',
    replace: 'memory.maxTime = null',
  },
  {
    name: 'trimming follows events that are not committed',
    file: 'src/pipeline/takeover.ts',
    find: 'committedTime: () => flusher.target.maxTime,',
    replace: 'committedTime: () => memory.maxTime,',
  },
  {
    name: 'trimming forgets the slowest reader',
    file: 'src/pipeline/apply.ts',
    find: 'Math.min(own, slowest)',
    replace: 'Math.max(own, slowest)',
  },
  {
    name: 'trimming forgets late events',
    file: 'src/pipeline/apply.ts',
    find: 'const trimBehindMs = scored.outOfOrderMs + latenessMs(scored, features.horizonMs)',
    replace: 'const trimBehindMs = scored.outOfOrderMs - features.horizonMs / 2',
  },
  {
    name: 'rebuilds begin too late',
    file: 'src/pipeline/deleted-records.ts',
    find: 'newestSeen - policy.visibleSpanMs',
    replace: 'newestSeen - policy.visibleSpanMs / 2',
  },
  {
    name: 'a rebuild keeps the build of the state it replaces',
    file: 'src/pipeline/takeover-plan.ts',
    find: 'build: trusted(w) ? w.build : policy.newIdentity(),',
    replace: "build: trusted(w) ? w.build : 'aaaaaaaa',",
  },
  {
    name: 'a rebuild for readers that nobody knows starts at the newest anchor',
    file: 'src/pipeline/metadata.ts',
    find: 'newest ?? anchors[0]',
    replace: 'newest ?? anchors.at(-1)',
  },
  {
    name: 'anchors are forgotten although it is not known what readers see',
    file: 'src/pipeline/commit-slice.ts',
    find: 'owned.readerTime ?? -Infinity',
    replace: 'owned.readerTime ?? Infinity',
  },
  {
    name: 'another log under the same name is applied',
    file: 'src/pipeline/takeover.ts',
    find: 'await verifyLast(setup,',
    replace: 'await ((...all: unknown[]) => void [all, verifyLast])(setup,',
  },
  {
    name: 'deleted records that were never read are not missed for long enough',
    file: 'src/pipeline/deleted-records.ts',
    find: 'const unread = deletedUntil(facts, policy)',
    replace: 'const unread = metadata.maxTime ?? 0',
  },
  {
    name: 'records that another partition lost are not missed',
    file: 'src/pipeline/part-loader.ts',
    find: '(lost.size === 0 ? null : gapUntil(options, lost, event))',
    replace: '(lost.size < 1_000 ? null : gapUntil(options, lost, event))',
  },
  {
    name: 'deleted records that state is built from are not missed',
    file: 'src/pipeline/takeover-plan.ts',
    find: 'if (replayFrom.offset < Math.min(facts.log.start, metadata.offset)) {',
    replace: 'if (replayFrom.offset < 0) {',
  },
  {
    name: 'the quarantine is ignored when events are applied again',
    file: 'src/pipeline/takeover.ts',
    find: 'if (quarantine.has(record.offset)) continue',
    replace: 'void quarantine',
  },
  {
    name: 'the metadata is forgotten when outputs are committed',
    file: 'src/pipeline/trial.ts',
    find: 'claim.run(outputs, { offset: metadata.offset, metadata: encodeMetadata(metadata) })',
    replace:
      "claim.run(outputs, { offset: metadata.offset, metadata: outputs.length > 0 ? '' : encodeMetadata(metadata) })",
  },
  {
    name: 'the share of a rebuild passes for a whole one',
    file: 'src/pipeline/takeover.ts',
    find: 'offset >= stream.highWatermark ?',
    replace: 'offset * 0 + held.metadata.offset >= stream.highWatermark ?',
  },
  {
    name: 'parts of other builds are read from the others',
    file: 'src/pipeline/part-loader.ts',
    find: 'unwrapPart(loaded.merged[index]?.get(input) ?? null, watermark.build)',
    replace: '(loaded.merged[index]?.get(input)?.subarray(4) ?? unwrapPart(null, watermark.build))',
  },
  {
    name: 'records that wait for alignment are dropped',
    file: 'src/pipeline/serve.ts',
    find: 'return used < taken.records.length ?',
    replace: 'return used < 0 ?',
  },
  {
    name: 'the position moves past records that wait for alignment',
    file: 'src/pipeline/slice.ts',
    find: 'next: owned.prepared,',
    replace: 'next,',
  },
  {
    name: 'an acknowledged first position is read again',
    file: 'src/pipeline/takeover.ts',
    find: 'pinned ?? (await claim.committed(signal))',
    replace: 'await claim.committed(signal)',
  },
  {
    name: 'a fenced zombie stops its process',
    file: 'src/pipeline/partition-task.ts',
    find: "(error.reaction === 'stop' && (await this.#isMember(stop)))",
    replace: "error.reaction === 'stop'",
  },
  {
    name: 'a reject is swallowed',
    file: 'src/pipeline/publish.ts',
    find: "    if (item.kind === 'reject') {\n      dead(item.reject)",
    replace: "    if (item.kind === 'reject') {\n      if (item.reject.reason !== 'LATE') dead(item.reject)",
  },
  {
    name: 'a record the model fails on counts twice, as dead letter and as prediction',
    file: 'src/pipeline/publish.ts',
    find: 'dead(inferenceReject(applied, failure))\n      continue',
    replace: 'dead(inferenceReject(applied, failure))',
  },
  {
    name: 'the end is told when the first half is acknowledged',
    file: 'src/kafka/wire/both.ts',
    find: 'Promise.all([half(first), half(second)])',
    replace: 'Promise.race([half(first), half(second)])',
  },
  {
    name: 'an alert is not put into the transaction',
    file: 'src/pipeline/publish.ts',
    find: 'if (alertOutput !== null) outputs.push(alertOutput)',
    replace: 'if (alertOutput !== null && outputs.length > 1) outputs.push(alertOutput)',
  },
]
