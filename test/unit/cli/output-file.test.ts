import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { openOutputFile } from '../../../src/cli/output-file.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-output-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
})

test('a file is there when it is complete, and not before', async () => {
  const path = join(dir, 'x.csv')
  await using file = await openOutputFile(path)
  await file.write('a\n')
  await file.write(Buffer.from('b\n'))
  expect(readdirSync(dir)).not.toContain('x.csv')
  await file.keep()
  expect(readdirSync(dir)).toEqual(['x.csv'])
  expect(readFileSync(path, 'utf8')).toBe('a\nb\n')
  expect(file.replaces).toBe(false)
})

test('after trouble halfway everything is as it was: no half file, the old one unchanged', async () => {
  const path = join(dir, 'x.csv')
  writeFileSync(path, 'old')
  const work = async (): Promise<void> => {
    await using file = await openOutputFile(path)
    expect(file.replaces).toBe(true)
    await file.write('new')
    throw new Error('trouble')
  }
  await expect(work()).rejects.toThrow('trouble')
  expect(readdirSync(dir)).toEqual(['x.csv'])
  expect(readFileSync(path, 'utf8')).toBe('old')
})

test('a link stays a link, and the file behind it keeps its rights', async () => {
  const target = join(dir, 'target.csv')
  const link = join(dir, 'link.csv')
  writeFileSync(target, 'old', { mode: 0o600 })
  symlinkSync(target, link)
  await using file = await openOutputFile(link)
  await file.write('new')
  await file.keep()
  expect(readFileSync(target, 'utf8')).toBe('new')
  expect(statSync(target).mode & 0o777).toBe(0o600)
  expect(readdirSync(dir).toSorted()).toEqual(['link.csv', 'target.csv'])
})

test('a device is written to, not replaced', async () => {
  await using file = await openOutputFile('/dev/null')
  await file.write('x')
  await file.keep()
  expect(statSync('/dev/null').isCharacterDevice()).toBe(true)
})

test('a folder, or a path in no folder, is refused with what to do', async () => {
  mkdirSync(join(dir, 'folder'))
  const usage = (message: RegExp): unknown =>
    expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(message) as string })
  await expect(openOutputFile(join(dir, 'folder'))).rejects.toEqual(
    usage(/it is a folder; name a file in it/),
  )
  await expect(openOutputFile(join(dir, 'gone', 'x.csv'))).rejects.toEqual(
    usage(/there is no folder .*gone; create it/),
  )
  writeFileSync(join(dir, 'plain'), '')
  await expect(openOutputFile(join(dir, 'plain', 'x.csv'))).rejects.toEqual(usage(/there is no folder/))
})
