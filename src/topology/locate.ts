import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { TopologyDocument } from './document.ts'
import type { Path, Problem } from './problem.ts'

/** A problem that showed only after a topology was loaded, at its place in the file. */
export function problemAt(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
  path: Path,
  message: string,
): Problem {
  const document = new TopologyDocument(file, readFileSync(file, 'utf8'), {
    env,
    folder: dirname(resolve(file)),
  })
  document.add(path, message)
  const [problem] = document.problems
  return problem!
}
