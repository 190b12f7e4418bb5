import { Command, Option } from 'commander'
import { loadTopology } from '../topology/load.ts'
import { TopologyError, formatProblem } from '../topology/problem.ts'
import type { Problem } from '../topology/problem.ts'

interface ValidateOptions {
  readonly output: 'text' | 'json'
}

/** The verdict on one file. */
export interface Validated {
  readonly file: string
  readonly problems: readonly Problem[]
}

export function validateCommand(): Command {
  return new Command('validate')
    .description(
      'Check topology files: syntax, names, types of expressions, schema files and the model path.',
    )
    .argument('<files...>', 'topology files (YAML)')
    .addOption(new Option('-o, --output <format>', 'output format').choices(['text', 'json']).default('text'))
    .action(async (files: readonly string[], options: ValidateOptions) => {
      const verdicts = await Promise.all(files.map((file) => validate(file, process.env)))
      process.stdout.write(
        options.output === 'json' ? `${JSON.stringify(verdicts, null, 2)}\n` : verdictText(verdicts),
      )
      // Not process.exit: what was written must get out.
      if (verdicts.some(({ problems }) => problems.length > 0)) process.exitCode = 2
    })
}

export async function validate(file: string, env: NodeJS.ProcessEnv): Promise<Validated> {
  try {
    await loadTopology(file, env)
    return { file, problems: [] }
  } catch (error) {
    if (error instanceof TopologyError) return { file, problems: error.problems }
    throw error
  }
}

export function verdictText(verdicts: readonly Validated[]): string {
  return verdicts
    .flatMap(({ file, problems }) => (problems.length === 0 ? [`${file}: ok`] : problems.map(formatProblem)))
    .map((line) => `${line}\n`)
    .join('')
}
