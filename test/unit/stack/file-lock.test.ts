import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { withFileLock } from '../../../src/stack/file-lock.ts'

let dir: string
let path: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-lock-'))
  path = join(dir, 'lock')
})
afterEach(() => rm(dir, { recursive: true, force: true }))

async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'close')
  return child.pid ?? 0
}

describe('a file lock', () => {
  test('lets one in at a time and tells the others who holds it', async () => {
    let inside = 0
    let insideMax = 0
    const holders: string[] = []
    const work = async (): Promise<void> => {
      insideMax = Math.max(insideMax, ++inside)
      await readdir(dir)
      inside--
    }
    const onWait = (holder: string): void => void holders.push(holder)
    await Promise.all([1, 2, 3].map(() => withFileLock(path, work, { onWait })))
    expect(insideMax).toBe(1)
    expect(holders.length).toBeGreaterThan(0)
  })

  test('is released when the work fails', async () => {
    await expect(withFileLock(path, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await readdir(dir)).toEqual([])
  })

  test('of a dead process is taken over', async () => {
    await writeFile(path, `${await deadPid()} ${hostname()}`)
    expect(await withFileLock(path, () => Promise.resolve('in'))).toBe('in')
    expect(await readdir(dir)).toEqual([])
  })

  test('whose holder no longer beats is taken over, even when its pid is in use again', async () => {
    await writeFile(path, `${process.pid} ${hostname()}`)
    await utimes(path, 1, 1)
    expect(await withFileLock(path, () => Promise.resolve('in'))).toBe('in')
  })

  test('of a process on another host is left alone while it beats', async () => {
    await writeFile(path, `${await deadPid()} elsewhere`)
    const abort = new AbortController()
    const onWait = (): void => abort.abort(new Error('still held'))
    const waiting = withFileLock(path, () => Promise.resolve('in'), { onWait, signal: abort.signal })
    await expect(waiting).rejects.toThrow('still held')
  })
})
