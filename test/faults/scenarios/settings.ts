export const oneBroker = { nodes: 1, redis: 'standalone' } as const
export const threeBrokers = { nodes: 3, redis: 'standalone' } as const
export const withSentinel = { nodes: 1, redis: 'sentinel' } as const
export const withCluster = { nodes: 1, redis: 'cluster' } as const

/** Small transactions: many moments at which a fault finds one open. */
export const smallSlices = { limits: { rowsPerTransactionMax: 20 } } as const

/** With labels, and features of terminals merged over all partitions. */
export const labelled = {
  rate: 100,
  traffic: { labels: true, lateShare: 0, customers: 40, terminals: 60, stepMs: 2_700_000 },
} as const

/** Also a cache of next to nothing: parts come from Redis again and again. */
export const smallCache = { ...smallSlices, store: { cacheMax: '1MB' } } as const
