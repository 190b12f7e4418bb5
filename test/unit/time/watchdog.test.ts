import { spawn } from 'node:child_process'
import { expect, test } from 'vitest'

const watchdog = new URL('../../../src/time/watchdog.ts', import.meta.url).href

/** Runs `body` in a process with a watchdog of `stallMs`; ends with it. */
async function watched(
  stallMs: number,
  body: string,
): Promise<{ code: number | null; signal: string | null; stderr: string }> {
  const script = `import { begins, startWatchdog } from ${JSON.stringify(watchdog)}
using dog = startWatchdog(${stallMs}, { member: 'm1' })
${body}`
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr.on('data', (chunk) => (stderr += String(chunk)))
  const { promise, resolve } = Promise.withResolvers<{ code: number | null; signal: string | null }>()
  child.on('close', (code, signal) => resolve({ code, signal }))
  return { ...(await promise), stderr }
}

test('a process that computes without end is ended, and a line names the record under work', async () => {
  const body = `begins('card.transactions:3', 41); begins('card.transactions:3', 42); for (;;);`
  const { signal, stderr } = await watched(1_000, body)
  expect(signal).toBe('SIGKILL')
  const line = JSON.parse(stderr) as Record<string, unknown>
  expect(line).toMatchObject({
    level: 'error',
    code: 'PROCESS_STALLED',
    member: 'm1',
    partition: 'card.transactions:3',
    offset: 42,
  })
})

test('a process that waits, or works in pieces, for longer than the limit goes on, and ends by itself', async () => {
  const body = `
import { setTimeout as sleep } from 'node:timers/promises'
const until = performance.now() + 4_000
while (performance.now() < until) {
  await sleep(50)
  for (const end = performance.now() + 100; performance.now() < end; );
}`
  expect(await watched(2_000, body)).toEqual({ code: 0, signal: null, stderr: '' })
})
