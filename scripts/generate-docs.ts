import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errorsDoc } from './errors-doc.ts'

/** Writes the documents that are made from tables in src. Tests fail when one is out of date. */
const docs = join(import.meta.dirname, '..', 'docs')
writeFileSync(join(docs, 'errors.md'), errorsDoc())
await import('./generate-metrics-doc.ts')
