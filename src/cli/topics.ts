import { Command, Option } from 'commander'
import { topicsOf } from '../service/topics.ts'
import { loadTopology } from '../topology/load.ts'
import { createTopicsOfPlan } from './create-topics.ts'
import { wholeNumber } from './simulate.ts'
import { listenForStop } from './stop-signal.ts'

interface CreateOptions {
  readonly partitions: number
  readonly output: 'text' | 'json'
}

const defaultPartitions = 4
const partitionsMax = 1_000 // per topic; more is a slip of the finger

export function topicsCommand(): Command {
  return new Command('topics').description('The topics of a topology.').addCommand(createCommand())
}

function createCommand(): Command {
  return new Command('create')
    .description(
      'Create what a topology reads and writes where it is missing; existing topics stay as they are.',
    )
    .argument('<topology>', 'topology file (YAML)')
    .option(
      '--partitions <n>',
      'partitions of every new topic',
      wholeNumber(1, partitionsMax),
      defaultPartitions,
    )
    .addOption(new Option('-o, --output <format>', 'output format').choices(['text', 'json']).default('text'))
    .action(async (file: string, options: CreateOptions) => {
      using stop = listenForStop(process)
      // Topics do not depend on the model, which may come later.
      const plan = await loadTopology(file, process.env, { model: 'optional' })
      const created = await createTopicsOfPlan(plan, {
        partitions: options.partitions,
        signal: stop.signal,
        report: (line) => void process.stderr.write(`topics: ${line}\n`),
      })
      const wanted = topicsOf(plan, options.partitions).map(({ topic }) => topic)
      process.stdout.write(formatTopics(wanted, created, options.output))
    })
}

/** One line per topic, or lists of those created and those that were there. */
export function formatTopics(
  wanted: readonly string[],
  created: readonly string[],
  format: CreateOptions['output'],
): string {
  const isNew = (topic: string): boolean => created.includes(topic)
  if (format === 'json') {
    const existing = wanted.filter((topic) => !isNew(topic))
    return `${JSON.stringify({ created: wanted.filter(isNew), existing })}\n`
  }
  return wanted.map((topic) => `${isNew(topic) ? 'created' : 'exists '}  ${topic}\n`).join('')
}
