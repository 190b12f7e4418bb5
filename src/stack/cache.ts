import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { withFileLock } from './file-lock.ts'

/** Told one line per step that takes a while. */
export type Report = (line: string) => void

/** The package's own folder, from src/stack as from dist/stack. */
export const packageDir = fileURLToPath(new URL('../../', import.meta.url))

/** `.millrace` of the checkout; of the working directory when millrace is installed as a package. */
export function millraceDir(): string {
  const isCheckout = existsSync(join(packageDir, 'src')) && existsSync(join(packageDir, 'package-lock.json'))
  return join(isCheckout ? packageDir : process.cwd(), '.millrace')
}

/** Where downloaded servers are kept: MILLRACE_CACHE, else `.millrace/cache`. */
export function cacheDir(): string {
  return process.env['MILLRACE_CACHE'] ?? join(millraceDir(), 'cache')
}

/** Whether `cached` would return at once. */
export function isCached(name: string): boolean {
  return existsSync(join(cacheDir(), name))
}

/**
 * The folder `name` of the cache. When it is missing, `fill` gets an empty folder beside it, which is renamed
 * once complete, so an interrupted download leaves nothing that looks finished.
 */
export async function cached(
  name: string,
  fill: (dir: string) => Promise<void>,
  report: Report,
  signal?: AbortSignal,
): Promise<string> {
  const finished = join(cacheDir(), name)
  if (existsSync(finished)) return finished
  const onWait = (holder: string): void => report(`waiting for process ${holder}, which downloads ${name}`)
  await withFileLock(
    `${finished}.lock`,
    async () => {
      if (!existsSync(finished)) await fillAtomically(finished, fill)
    },
    { onWait, ...(signal ? { signal } : {}) },
  )
  return finished
}

/** Runs under the lock, so partial folders found here belong to downloads that died. */
async function fillAtomically(finished: string, fill: (dir: string) => Promise<void>): Promise<void> {
  const partialPrefix = `${basename(finished)}.partial-`
  for (const entry of await readdir(dirname(finished))) {
    if (entry.startsWith(partialPrefix))
      await rm(join(dirname(finished), entry), { recursive: true, force: true })
  }
  const partial = await mkdtemp(join(dirname(finished), partialPrefix))
  try {
    await fill(partial)
    await rename(partial, finished)
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
}
