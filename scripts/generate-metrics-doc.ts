/** Writes docs/metrics.md from the table in src/telemetry/metrics.ts. */
import { writeFile } from 'node:fs/promises'
import { metricsDocument } from '../src/telemetry/metrics-doc.ts'

await writeFile(new URL('../docs/metrics.md', import.meta.url), metricsDocument())
