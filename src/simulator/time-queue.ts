/** Items that come out in order of their time; equal times in order of arrival. A binary heap. */
export interface TimeQueue<Item> {
  readonly length: number
  /** Time of the next item; Infinity when empty. */
  readonly nextMs: number
  add(atMs: number, item: Item): void
  /** The next item. Throws when empty. */
  take(): Item
}

interface Node<Item> {
  readonly atMs: number
  readonly arrival: number
  readonly item: Item
}

export function createTimeQueue<Item>(): TimeQueue<Item> {
  const heap: Node<Item>[] = []
  let arrivals = 0
  const before = (a: Node<Item>, b: Node<Item>) =>
    a.atMs < b.atMs || (a.atMs === b.atMs && a.arrival < b.arrival)

  const sink = (node: Node<Item>): void => {
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1
      if (!before(heap[child]!, node)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = node
  }

  return {
    get length() {
      return heap.length
    },
    get nextMs() {
      return heap[0]?.atMs ?? Infinity
    },
    add(atMs, item) {
      const node = { atMs, arrival: arrivals++, item }
      let at = heap.length
      heap.push(node)
      while (at > 0) {
        const parent = (at - 1) >>> 1
        if (!before(node, heap[parent]!)) break
        heap[at] = heap[parent]!
        at = parent
      }
      heap[at] = node
    },
    take() {
      const top = heap[0]
      if (!top) throw new RangeError('the queue is empty')
      const last = heap.pop()!
      if (heap.length > 0) sink(last)
      return top.item
    },
  }
}
