import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { errorsDoc } from '../scripts/errors-doc.ts'

const root = resolve(import.meta.dirname, '..')

/** Folders of src by layer: imports point to lower numbers only. */
const layers: Readonly<Record<string, number>> = {
  'main.ts': 7,
  'index.ts': 7,
  cli: 7,
  service: 6,
  pipeline: 5,
  topology: 4,
  ...layer(3, ['source', 'decode', 'features', 'batch', 'model', 'decide', 'sink', 'commit']),
  ...layer(2, ['kafka', 'redis', 'onnx', 'registry', 'stack', 'simulator']),
  ...layer(1, ['record', 'time', 'expression', 'telemetry']),
  'errors.ts': 0,
  'version.ts': 0,
}

/** Packages that only one folder of src may import: its job is to make them safe. */
const onlyImporter: Readonly<Record<string, string>> = {
  kafkajs: 'kafka',
  '@node-rs/crc32': 'kafka',
  ioredis: 'redis',
  'onnxruntime-node': 'onnx',
  '@kafkajs/confluent-schema-registry': 'registry',
}

interface Import {
  readonly from: string
  readonly to: string
  readonly isTypeOnly: boolean
}

const sources = filesBelow('src').filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
const imports = sources.flatMap(importsOf)
const localImports = imports.filter(({ to }) => to.startsWith('src/'))

describe('the layers of src', () => {
  test('every file and folder has its layer', () => {
    expect(sources.map(folderOf).filter((folder) => !(folder in layers))).toEqual([])
  })

  test('imports point down, never up and never sideways', () => {
    const wrong = localImports.filter(({ from, to, isTypeOnly }) => {
      const [own = 0, other = 0] = [layers[folderOf(from)], layers[folderOf(to)]]
      const isNeighbour = folderOf(from) === folderOf(to) || own === 7
      const isSharedType = own === 1 && isTypeOnly // the folders everybody reads may speak of each other's types
      return other > own || (other === own && !isNeighbour && !isSharedType)
    })
    expect(wrong.map(arrow)).toEqual([])
  })

  test('no file imports itself by a detour', () => {
    expect(cycles(localImports.filter(({ isTypeOnly }) => !isTypeOnly))).toEqual([])
  })

  test('each hardened client is the only importer of its package', () => {
    const wrong = imports.filter(({ from, to }) => {
      const owner = Object.entries(onlyImporter).find(
        ([name]) => to === name || to.startsWith(`${name}/`),
      )?.[1]
      return owner !== undefined && folderOf(from) !== owner
    })
    expect(wrong.map(arrow)).toEqual([])
  })

  test('nobody but src/time reads the wall clock through Date', () => {
    const wrong = sources.filter((file) => folderOf(file) !== 'time' && /new Date\(\s*\)/.test(textOf(file)))
    expect(wrong).toEqual([])
  })
})

describe('the committed files', () => {
  const committed = filesBelow('.')

  test('name no package registry: where packages come from is the business of each machine', () => {
    // In two halves, so that this file names none.
    const hosts = {
      org: ['npmjs', 'maven\\.apache', 'maven', 'pypi', 'pythonhosted', 'debian'],
      com: ['yarnpkg', 'sonatype'],
    }
    const pattern = new RegExp(
      Object.entries(hosts)
        .map(([top, names]) => `(${names.join('|')})\\.${top}`)
        .join('|'),
    )
    expect(committed.filter((file) => pattern.test(textOf(file)))).toEqual([])
  })

  test('do not name the folder they were written in', () => {
    expect(committed.filter((file) => textOf(file).includes(`${root}/`))).toEqual([])
  })

  test('have names that say what is inside', () => {
    const vague = /(^|[-/])(utils?|helpers?|common|misc|manager|impl)([-./]|$)/i
    expect(committed.filter((file) => vague.test(file))).toEqual([])
  })

  test('are short enough to read: 450 lines of code at most', () => {
    const code = committed.filter((file) => /\.(ts|mjs|sh)$/.test(file))
    const lengths = code.map((file) => ({ file, lines: textOf(file).split('\n').length }))
    expect(lengths.filter(({ lines }) => lines > 450)).toEqual([])
  })
})

describe('the tests', () => {
  const tests = filesBelow('test').filter((file) => file.endsWith('.test.ts'))

  test('are all run: none is skipped, singled out or promised', () => {
    const pattern = /\b(test|it|describe|suite)(\.\w+)*\.(skip|only|todo)\b/
    expect(tests.filter((file) => pattern.test(textOf(file)))).toEqual([])
  })

  test('lie where vitest.config.ts looks for them', () => {
    const known = /^test\/((unit|topology|simulation|differential|integration)\/.*|tidy)\.test\.ts$/
    expect(tests.filter((file) => !known.test(file))).toEqual([])
  })
})

describe('the documents', () => {
  test('docs/errors.md is what `npm run docs` writes', () => {
    expect(textOf('docs/errors.md')).toBe(errorsDoc())
  })

  test('docs/dependencies.md gives the reason of every dependency, and of nothing else', () => {
    const { dependencies, devDependencies } = JSON.parse(textOf('package.json')) as Record<string, object>
    const explained = [...textOf('docs/dependencies.md').matchAll(/^- `([^`]+)`: \S/gm)].map(
      ([, name]) => name,
    )
    expect(new Set(explained)).toEqual(new Set(Object.keys({ ...dependencies, ...devDependencies })))
  })
})

// --- reading the tree ----------------------------------------------------------------------------------------------

function layer(number: number, folders: readonly string[]): Record<string, number> {
  return Object.fromEntries(folders.map((folder) => [folder, number]))
}

/** Files below a folder as paths from the root, without what git ignores and what is not text. */
function filesBelow(folder: string): string[] {
  const ignored = new Set(['.git', 'node_modules', 'dist', '.millrace', 'coverage'])
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (ignored.has(entry.name)) return []
    if (entry.isDirectory()) return filesBelow(path)
    return entry.isFile() && !/\.(onnx|png|gif|svg|bin|gz|log)$/.test(entry.name) ? [path] : []
  })
}

function textOf(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

/** 'kafka' of src/kafka/client.ts, 'errors.ts' of src/errors.ts. */
function folderOf(file: string): string {
  return file.split('/')[1] ?? ''
}

function importsOf(file: string): Import[] {
  const pattern = /^\s*(?:import|export)\s+(type\s)?(?:[^'"`;]*?\sfrom\s+)?'([^']+)'|import\('([^']+)'\)/gm
  return [...textOf(file).matchAll(pattern)].map(([, type, target, dynamic]) => {
    const to = target ?? dynamic ?? ''
    const isLocal = to.startsWith('.')
    return {
      from: file,
      to: isLocal ? relative(root, resolve(root, dirname(file), to)) : to,
      isTypeOnly: type !== undefined,
    }
  })
}

function arrow({ from, to }: Import): string {
  return `${from} -> ${to}`
}

/** One path per cycle, as 'a -> b -> a'. */
function cycles(edges: readonly Import[]): string[] {
  const targets = Map.groupBy(edges, ({ from }) => from)
  const found: string[] = []
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file)
    if (start >= 0) found.push([...path.slice(start), file].join(' -> '))
    if (start >= 0 || done.has(file)) return
    for (const { to } of targets.get(file) ?? []) visit(to, [...path, file])
    done.add(file)
  }
  for (const file of targets.keys()) visit(file, [])
  return found
}
