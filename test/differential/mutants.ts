import type { Mutant } from '../simulation/mutants.ts'

/** `scripts/sabotage.ts` makes each of these in a copy of the source; the differential test must turn red. */
export const differentialMutants: readonly Mutant[] = [
  {
    name: 'what a label source stores is looked for where only its own partition keeps it',
    file: 'src/features/part-key.ts',
    find: 'layouts[layout]?.shared === true',
    replace: 'layouts[layout]?.merge === true',
  },
  {
    name: 'a feature without delay switches alignment off',
    file: 'src/pipeline/peers.ts',
    find: 'feature.delayMs > 0',
    replace: 'feature.delayMs >= 0',
  },
  {
    name: 'of several delays the longest decides how long to wait',
    file: 'src/pipeline/peers.ts',
    find: 'delays.length === 0 ? 0 : Math.min(...delays)',
    replace: 'Math.max(0, ...delays)',
  },
  {
    name: 'the wall clock of an idle partition counts as event time',
    file: 'src/pipeline/peers.ts',
    find: 'headTime ?? -Infinity) - slackMs',
    replace: 'headTime ?? -Infinity, watermark.caughtUpAt) - slackMs',
  },
  {
    name: 'labels count as complete up to the largest time seen, in whatever order they come',
    file: 'src/pipeline/peers.ts',
    find: 'if (slackMs === null) return -Infinity',
    replace: 'if (slackMs === undefined) return -Infinity',
  },
  {
    name: 'one record less than the end of a log is the end',
    file: 'src/pipeline/peers.ts',
    find: 'watermark.offset >= end) continue',
    replace: 'watermark.offset >= end - 1) continue',
  },
  {
    name: 'what the first event of a slice may be scored with, all may',
    file: 'src/pipeline/alignment.ts',
    find: 'if (blocked > 0) return { count: blocked,',
    replace: 'if (blocked > 0) return { count: decoded.length,',
  },
  {
    name: 'unaligned is not said of the last event that is',
    file: 'src/pipeline/slice.ts',
    find: 'item.time > unalignedAfter ?',
    replace: 'item.time > unalignedAfter + 86_400_000 ?',
  },
  {
    name: 'the own part is added from the store, too',
    file: 'src/pipeline/part-loader.ts',
    find: 'const watermark = input === options.inputName ? undefined : watermarks.get(input)',
    replace: 'const watermark = input === options.topic ? undefined : watermarks.get(input)',
  },
  {
    name: 'where is ignored',
    file: 'src/features/layout.ts',
    find: 'if (predicate === null) return 0',
    replace: 'if (predicate === null || layout.index >= 0) return 0',
  },
  {
    name: 'a closed left edge is open',
    file: 'src/features/window.ts',
    find: 'window.windowMs + (leftClosed ? 1 : 0)',
    replace: 'window.windowMs + (leftClosed ? 0 : 0)',
  },
  {
    name: 'an open right edge is closed',
    file: 'src/features/window.ts',
    find: 'window.delayMs + (rightClosed ? 0 : 1)',
    replace: 'window.delayMs + (rightClosed ? 0 : 0)',
  },
  {
    name: 'the event is in a window that leaves it out',
    file: 'src/features/window.ts',
    find: 'withoutCurrent: !window.current && lagMs === 0',
    replace: 'withoutCurrent: !window.current && lagMs < 0',
  },
  {
    name: 'capped is not said',
    file: 'src/features/scan.ts',
    find: 'return hiddenTime(part, eventsMax, newest) > floorMs',
    replace: 'return hiddenTime(part, eventsMax, newest) > floorMs + 1e15',
  },
  {
    name: 'a condition in error is not said',
    file: 'src/pipeline/apply.ts',
    find: 'if (inserts(verdict)) insert(event, failures)',
    replace: 'if (inserts(verdict)) insert(event)',
  },
  {
    name: 'replay goes on by record timestamps',
    file: 'src/pipeline/replay-features.ts',
    find: 'if (first === null || item.time < firstTime) {\n      first = head\n      firstTime = item.time',
    replace:
      'if (first === null || item.raw.timestamp < firstTime) {\n      first = head\n      firstTime = item.raw.timestamp',
  },
  {
    name: 'replay sees of labels what was published when the event was, also with a delay',
    file: 'src/pipeline/replay-features.ts',
    find: 'delayed ? this.#known : this.#published',
    replace: 'delayed === null ? this.#known : this.#published',
  },
  {
    name: 'replay trims by what a partition has seen itself',
    file: 'src/pipeline/replay-features.ts',
    find: 'slowestReaderTime: slowest,',
    replace: 'slowestReaderTime: () => memory.maxTime ?? slowest(),',
  },
]
