/** A file that is there whole or not at all: written under another name, renamed when it is complete. */
import { once } from 'node:events'
import { realpath, rename, rm, stat } from 'node:fs/promises'
import { open, type FileHandle } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { MillraceError } from '../errors.ts'

export interface OutputFile {
  /** A file of this name was there and is replaced. */
  readonly replaces: boolean
  write(bytes: string | Uint8Array): Promise<void>
  /** All is written: from now on the file is there. */
  keep(): Promise<void>
  /** Leaves everything as it was before; after `keep` it does nothing. */
  [Symbol.asyncDispose](): Promise<void>
}

export const standardOutput = '-'

/** Throws USAGE when nothing can be written there, before anything is computed. */
export async function openOutputFile(path: string): Promise<OutputFile> {
  if (path === standardOutput) return standardStream()
  const existing = await stat(path).catch(() => null)
  if (existing?.isDirectory() === true) {
    throw new MillraceError('USAGE', `--out ${path}: it is a folder; name a file in it`)
  }
  const folder = dirname(resolve(path))
  if ((await stat(folder).catch(() => null))?.isDirectory() !== true) {
    throw new MillraceError('USAGE', `--out ${path}: there is no folder ${folder}; create it first`)
  }
  // A device or a pipe is written to, never replaced.
  if (existing !== null && !existing.isFile()) return handleOf(path, await opened(path, path), null, false)
  const target = existing === null ? path : await realpath(path)
  const partial = `${target}.${process.pid}.partial`
  return handleOf(path, await opened(path, partial, existing?.mode), { partial, target }, existing !== null)
}

async function opened(path: string, name: string, mode = 0o666): Promise<FileHandle> {
  try {
    return await open(name, 'w', mode & 0o777)
  } catch (error) {
    throw new MillraceError('USAGE', `--out ${path}: it cannot be written (${codeOf(error)})`, {
      cause: error,
    })
  }
}

function handleOf(
  path: string,
  handle: FileHandle,
  names: { readonly partial: string; readonly target: string } | null,
  replaces: boolean,
): OutputFile {
  let isOpen = true
  const close = async (): Promise<void> => {
    if (isOpen) await handle.close()
    isOpen = false
  }
  const orSay = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      await work()
    } catch (error) {
      throw new MillraceError('OUTPUT_UNWRITABLE', `${path} could not be written: ${codeOf(error)}`, {
        cause: error,
      })
    }
  }
  return {
    replaces,
    write: (bytes) => orSay(() => handle.writeFile(bytes)),
    keep: () =>
      orSay(async () => {
        await close()
        if (names !== null) await rename(names.partial, names.target)
      }),
    [Symbol.asyncDispose]: async () => {
      if (!isOpen) return
      await close()
      if (names !== null) await rm(names.partial, { force: true })
    },
  }
}

function standardStream(): OutputFile {
  return {
    replaces: false,
    write: async (bytes) => {
      if (!process.stdout.write(bytes)) await once(process.stdout, 'drain')
    },
    keep: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

function codeOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return code ?? message
}
