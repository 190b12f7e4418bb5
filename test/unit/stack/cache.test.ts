import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { cached } from '../../../src/stack/cache.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-cache-'))
  vi.stubEnv('MILLRACE_CACHE', dir)
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(dir, { recursive: true, force: true })
})

const ignore = (): void => {}

describe('the download cache', () => {
  test('fills a folder once, however many ask', async () => {
    const fill = vi.fn((folder: string) => writeFile(join(folder, 'jar'), 'x'))
    const paths = await Promise.all([1, 2].map(() => cached('server-1', fill, ignore)))
    expect(paths).toEqual([join(dir, 'server-1'), join(dir, 'server-1')])
    expect(await cached('server-1', fill, ignore)).toBe(join(dir, 'server-1'))
    expect(fill).toHaveBeenCalledTimes(1)
    expect(await readdir(join(dir, 'server-1'))).toEqual(['jar'])
  })

  test('a failed download leaves nothing, and the next one tries again', async () => {
    await expect(cached('server-1', () => Promise.reject(new Error('offline')), ignore)).rejects.toThrow(
      'offline',
    )
    expect(await readdir(dir)).toEqual([])
    await cached('server-1', () => Promise.resolve(), ignore)
    expect(await readdir(dir)).toEqual(['server-1'])
  })

  test('what a killed download left is removed', async () => {
    await mkdir(join(dir, 'server-1.partial-abc'))
    await cached('server-1', () => Promise.resolve(), ignore)
    expect(await readdir(dir)).toEqual(['server-1'])
  })
})
