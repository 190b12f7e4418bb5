import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parquetReadObjects } from 'hyparquet'
import { expect, onTestFinished, test } from 'vitest'
import { millrace, type Ended } from '../../support/command-line.ts'
import { CardTraffic, type InputRecord } from '../../support/service-records.ts'
import { openWorld, type ServiceWorld } from '../../support/service-world.ts'

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-replay-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  return dir
}

/** Each row as an object of texts; no cell of these tests holds a comma. */
function rowsOf(csv: string): Record<string, string>[] {
  const [head = '', ...lines] = csv.trimEnd().split('\n')
  const names = head.split(',')
  return lines.map((line) => Object.fromEntries(line.split(',').map((cell, i) => [names[i]!, cell])))
}

test('rows with flags and labels, as CSV and as Parquet; labels that match nothing, and typos, are said', async () => {
  const world = await openWorld({ partitions: 2, labels: true })
  const traffic = new CardTraffic({
    seed: 17,
    partitions: 2,
    labels: true,
    stepMs: 1_800_000,
    lateShare: 0.05,
  })
  const records = traffic.next(400)
  const events = records.filter(({ becomes }) => becomes === 'prediction')
  await world.write(records)
  const dir = folder()
  const replay = (...args: string[]): Promise<Ended> => millrace('replay', '--topology', world.file, ...args)
  const csv = join(dir, 'x.csv')

  // The scored source's own field is a label where the outcome comes with the event.
  const own = await replay('--out', csv, '--labels', 'transactions.tier')
  expect(own.code).toBe(0)
  const rows = rowsOf(readFileSync(csv, 'utf8'))
  const tierOf = new Map(events.map(({ event }) => [event!.id, String(event!.fields['tier'])]))
  expect(Object.fromEntries(rows.map(({ id, label }) => [id, label]))).toEqual(Object.fromEntries(tierOf))
  const late = rows.filter(({ flags }) => flags === 'late')
  expect(late.length).toBeGreaterThan(0)

  const parquet = join(dir, 'x.parquet')
  expect((await replay('--out', parquet, '--without', 'late')).code).toBe(0)
  const bytes = readFileSync(parquet)
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)
  const onTime = rows.filter(({ flags }) => flags !== 'late')
  const asParquet: Record<string, unknown>[] = await parquetReadObjects({ file })
  expect(asParquet.map(({ id, customer_count_1h: count }) => [id, Number(count)])).toEqual(
    onTime.map(({ id, customer_count_1h: count }) => [id, Number(count)]),
  )

  // Labels of this world carry other ids than the events: a column without a single label is no success.
  const other = await replay('--out', csv, '--labels', 'labels.fraud')
  expect(other.code).toBe(0)
  expect(other.stderr).toMatch(
    /0 of \d+ rows have a label: .*theirs are like label-tx-\d+, those of the rows like tx-\d+/,
  )
  expect(other.stderr).toMatch(/replaced the file that was there/)

  const none = await replay('--out', csv, '--from', '2031-01-01')
  expect(none.stderr).toMatch(/no row was written: the event times of all \d+ events are from 2026-/)
  expect(readdirSync(dir).toSorted()).toEqual(['x.csv', 'x.parquet'])
})

test('labels that no feature reads are replayed, and the service does not ask for their topic', async () => {
  const world = await openWorld({ partitions: 1, labels: false })
  const traffic = new CardTraffic({ seed: 18, partitions: 1, badShare: 0 })
  const records = traffic.next(20)
  await addVerdicts(world, records)
  const dir = folder()
  const out = join(dir, 'x.csv')
  const { code, stderr } = await millrace(
    'replay',
    '--topology',
    world.file,
    '--out',
    out,
    '--labels',
    'labels.terminal',
  )
  expect(`${code} ${stderr}`).toMatch(/^0 /)
  const rows = rowsOf(readFileSync(out, 'utf8'))
  expect(rows).toHaveLength(20)
  expect(rows.filter(({ label }) => label !== '').map(({ label }) => label)).toEqual(
    records.filter((_, i) => i % 2 === 0).map(({ event }) => event!.fields['terminal']),
  )
  const service = world.start()
  await world.committed(20)
  expect(service.lines.some(({ msg }) => msg.includes('no feature reads these sources'))).toBe(true)
  expect((await world.positions()).map(({ topic }) => topic)).toEqual([world.topics.transactions])
  await service.stop()
})

/** Every second event gets a label in a topic that the topology names but no feature reads. */
async function addVerdicts(world: ServiceWorld, records: readonly InputRecord[]): Promise<void> {
  const { labels } = world.topics
  await world.admin.createTopics({ topics: [{ topic: labels, numPartitions: 1 }], waitForLeaders: true })
  await world.retopology({
    sources: {
      labels: {
        role: 'state',
        topic: labels,
        codec: { json: 'label.schema.json' },
        id: 'id',
        key: 'terminal',
        time: 'ts',
      },
    },
  })
  await world.write(records)
  const messages = records
    .filter((_, i) => i % 2 === 0)
    .map(({ event }) => {
      const { id, terminal, ts } = event!.fields
      return { key: String(terminal), value: JSON.stringify({ id, terminal, ts, fraud: true }) }
    })
  await world.producer.send({ topic: labels, messages })
}

test.each<[string[], RegExp]>([
  [['--labels', 'labels.frued'], /labels has no field frued\. Did you mean fraud\?/],
  [['--labels', 'lables.fraud'], /no source lables\. Did you mean labels\?/],
  [['--labels', 'fraud'], /write SOURCE\.FIELD/],
  [['--out', 'x.xlsx'], /\.csv or \.parquet file/],
  [['--out', 'no-such-folder/x.csv'], /there is no folder .*no-such-folder; create it/],
  [['--out', '.'], /it is a folder/],
  [['--from', '2026-02-01', '--to', '2026-01-01'], /is not before --to/],
  [['--from', '2026-02-01T00:00:00'], /without a zone it would depend on the machine/],
  [['--without', 'latte'], /latte is no flag\. Did you mean late\?/],
  [['--as-of', '2026-01-01'], /add --labels SOURCE\.FIELD/],
])('replay %j is wrong usage, said before any server is asked', async (args, message) => {
  const out = args[0] === '--out' ? [] : ['--out', '-']
  const { code, stdout, stderr } = await millrace(
    'replay',
    '--topology',
    'topologies/card-fraud.yaml',
    ...out,
    ...args,
  )
  expect(stderr).toMatch(message)
  expect(code).toBe(2)
  expect(stdout).toBe('')
})
