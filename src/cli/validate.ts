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
  /** What works and is probably not meant so. */
  readonly warnings: readonly Problem[]
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
    const { warnings } = await loadTopology(file, env)
    return { file, problems: [], warnings }
  } catch (error) {
    if (error instanceof TopologyError) return { file, problems: error.problems, warnings: error.warnings }
    throw error
  }
}

export function verdictText(verdicts: readonly Validated[]): string {
  return verdicts
    .flatMap(({ file, problems, warnings }) => [
      ...problems.map(formatProblem),
      ...warnings.map(formatWarning),
      ...(problems.length === 0 ? [`${file}: ok${counted(warnings.length)}`] : []),
    ])
    .map((line) => `${line}\n`)
    .join('')
}

function formatWarning(warning: Problem): string {
  return formatProblem({ ...warning, message: `warning: ${warning.message}` })
}

function counted(warnings: number): string {
  return warnings === 0 ? '' : `, with ${warnings === 1 ? 'a warning' : `${warnings} warnings`}`
}
