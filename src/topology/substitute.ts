import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'

/** Texts that `${env:…}` and `${file:…}` stand for. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Folder that relative paths start from: that of the topology file. */
  readonly folder: string
}

export interface Substituted {
  readonly text: string
  /** Whether anything was replaced: then columns inside the text are not those of the file. */
  readonly changed: boolean
  readonly problems: readonly { readonly message: string; readonly suggestion: string }[]
}

// Secrets and addresses, not data.
const fileBytesMax = 64 * 1024

const reference = /\$\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}/g
const envReference = /^env:([A-Za-z_]\w*)(?::-([\s\S]*))?$/

/**
 * Replaces references in one scalar value. As in a shell, `:-` also stands in for an empty variable. A default may hold
 * one level of braces: `${env:DEAD_LETTERS:-dlq.{topic}}`.
 */
export function substitute(text: string, surroundings: Surroundings): Substituted {
  if (!text.includes('${')) return { text, changed: false, problems: [] }
  const problems: { message: string; suggestion: string }[] = []
  const replaced = text.replaceAll(reference, (whole: string, inner: string) => {
    const found = lookUp(inner, surroundings)
    if (typeof found === 'string') return found
    problems.push(found)
    return whole
  })
  return { text: replaced, changed: replaced !== text, problems }
}

function lookUp(
  inner: string,
  { env, folder }: Surroundings,
): string | { message: string; suggestion: string } {
  if (inner.startsWith('file:')) return readText(resolve(folder, inner.slice('file:'.length)))
  const match = envReference.exec(inner)
  if (match === null) {
    const name = /^[A-Za-z_]\w*/.exec(inner)?.[0]
    return {
      message: `\${${inner}} is not a reference.`,
      suggestion:
        name === undefined || name === 'env'
          ? 'Write ${env:NAME:-default} or ${file:path}.'
          : `Write \${env:${name}}.`,
    }
  }
  const [, name, fallback] = match
  const value = env[name!]
  if (value !== undefined && (value !== '' || fallback === undefined)) return value
  if (fallback !== undefined) return fallback
  return {
    message: `the environment variable ${name} is not set.`,
    suggestion: `Set it, or write a default: \${env:${name}:-default}.`,
  }
}

function readText(path: string): string | { message: string; suggestion: string } {
  try {
    const { size } = statSync(path)
    if (size > fileBytesMax) {
      return {
        message: `${path} has ${size} bytes, more than ${fileBytesMax}.`,
        suggestion: 'Name a smaller file.',
      }
    }
    // Editors end files with a line break that belongs to no secret.
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    return {
      message: `${path} cannot be read (${reasonOf(error)}).`,
      suggestion: 'Paths are relative to the topology file.',
    }
  }
}

/** `ENOENT` and the like, without the path that the message repeats. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error) return 'code' in error ? String(error.code) : error.message
  return String(error)
}
