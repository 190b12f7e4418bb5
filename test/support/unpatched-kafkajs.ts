import { createRequire } from 'node:module'

const load = createRequire(import.meta.url)
const isKafkajs = (file: string): boolean => /[\\/]node_modules[\\/]kafkajs[\\/]/.test(file)

/** The next one who loads kafkajs gets a new copy. */
export function unloadKafkajs(): void {
  for (const file of Object.keys(load.cache).filter(isKafkajs)) delete load.cache[file]
}

/**
 * A module of kafkajs as published, loaded a second time beside the patched one, so that a test can show what it
 * does without the patch. `path` is below `kafkajs/src/`.
 */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller names the module's shape
export function unpatched<T>(path: string): T {
  return unpatchedTogether([path])[0] as T
}

/** Several modules that see each other. */
export function unpatchedTogether(paths: readonly string[]): readonly unknown[] {
  const kept = Object.entries(load.cache).filter(([file]) => isKafkajs(file))
  unloadKafkajs()
  try {
    return paths.map((path): unknown => load(`kafkajs/src/${path}`))
  } finally {
    unloadKafkajs()
    for (const [file, module] of kept) load.cache[file] = module
  }
}

/** The class under a name of its own, so that patching it leaves the original alone. */
export function copyOf<T extends { readonly prototype: object }>(original: T): T {
  const base = original as unknown as new (...args: unknown[]) => object
  const copy = class extends base {}
  for (const name of Object.getOwnPropertyNames(base.prototype)) {
    const descriptor = Object.getOwnPropertyDescriptor(base.prototype, name)
    if (name !== 'constructor' && descriptor) Object.defineProperty(copy.prototype, name, descriptor)
  }
  return copy as unknown as T
}
