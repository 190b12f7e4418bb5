import { Command, Option } from 'commander'
import { describePlan, formatDescription } from '../topology/describe.ts'
import { loadTopology } from '../topology/load.ts'

interface DescribeOptions {
  readonly output: 'text' | 'json'
}

export function describeCommand(): Command {
  return new Command('describe')
    .description(
      'Show what a topology comes to: windows with their edges, state, order of the model inputs, hashes.',
    )
    .argument('<file>', 'topology file (YAML)')
    .addOption(new Option('-o, --output <format>', 'output format').choices(['text', 'json']).default('text'))
    .action(async (file: string, options: DescribeOptions) => {
      // A model is trained against the hashes printed here, so it need not be there yet.
      const description = describePlan(await loadTopology(file, process.env, { model: 'optional' }))
      process.stdout.write(
        options.output === 'json'
          ? `${JSON.stringify(description, null, 2)}\n`
          : formatDescription(description),
      )
    })
}
