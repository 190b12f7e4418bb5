import { expect, test } from 'vitest'
import { createTopicsOf } from '../../../src/cli/create-topics.ts'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

test('topics are created without the model, which may come later', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-topics-'))
  try {
    const file = join(dir, 'topology.yaml')
    const shipped = readFileSync('topologies/card-fraud.yaml', 'utf8')
      .replaceAll('../schemas', resolve('schemas'))
      .replace('../models/card-fraud/1', 'not-yet')
      .replace('startWait: 60s', 'startWait: 1ms')
    writeFileSync(file, shipped)
    // Port 1 answers nobody: it went as far as asking a broker.
    await expect(createTopicsOf(file, '127.0.0.1:1')).rejects.toMatchObject({ code: 'KAFKA_UNREACHABLE' })
  } finally {
    rmSync(dir, { recursive: true })
  }
})
