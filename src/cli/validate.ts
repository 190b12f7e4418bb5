import { Command, Option } from 'commander'
import { loadTopology } from '../topology/load.ts'
import { problemAt } from '../topology/locate.ts'
import { TopologyError, formatProblem } from '../topology/problem.ts'
import type { Problem } from '../topology/problem.ts'
import { tryModel } from './validate-model.ts'

interface ValidateOptions {
  readonly output: 'text' | 'json'
  readonly model: boolean
}

/** The verdict on one file. */
export interface Validated {
  readonly file: string
  readonly problems: readonly Problem[]
  /** What was not looked at, or cannot be. */
  readonly notes: readonly string[]
  /** Whether the model was opened and tried. */
  readonly modelOpened: boolean
  /** What works and is probably not meant so. */
  readonly warnings: readonly Problem[]
}

export function validateCommand(): Command {
  return new Command('validate')
    .description(
      'Check topology files: syntax, names, types of expressions and schema files; and the model, which is opened and tried as at a start.',
    )
    .argument('<files...>', 'topology files (YAML)')
    .option('--no-model', 'do not open the model, which need not be there')
    .addOption(new Option('-o, --output <format>', 'output format').choices(['text', 'json']).default('text'))
    .action(async (files: readonly string[], options: ValidateOptions) => {
      const verdicts: Validated[] = []
      // One after the other: each model has a process of its own.
      for (const file of files) verdicts.push(await validate(file, process.env, options))
      process.stdout.write(
        options.output === 'json' ? `${JSON.stringify(verdicts, null, 2)}\n` : verdictText(verdicts),
      )
      // Not process.exit: what was written must get out.
      if (verdicts.some(({ problems }) => problems.length > 0)) process.exitCode = 2
    })
}

export async function validate(
  file: string,
  env: NodeJS.ProcessEnv,
  { model }: Pick<ValidateOptions, 'model'> = { model: true },
): Promise<Validated> {
  try {
    const plan = await loadTopology(file, env, { model: model ? 'required' : 'optional' })
    const { warnings } = plan
    if (!model)
      return {
        file,
        problems: [],
        warnings,
        notes: ['the model was not opened (--no-model)'],
        modelOpened: false,
      }
    const { problem, notes } = await tryModel(plan.model)
    const problems = problem === null ? [] : [problemAt(file, env, ['model', 'path'], problem)]
    return { file, problems, warnings, notes, modelOpened: true }
  } catch (error) {
    if (!(error instanceof TopologyError)) throw error
    const { problems, warnings } = error
    const notes = ['the model was not opened: correct the topology first']
    return { file, problems, warnings, notes, modelOpened: false }
  }
}

export function verdictText(verdicts: readonly Validated[]): string {
  return verdicts
    .flatMap(({ file, problems, warnings, notes }) => [
      ...problems.map(formatProblem),
      ...warnings.map(formatWarning),
      ...(problems.length === 0 ? [`${file}: ok${counted(warnings.length)}`] : []),
      ...notes.map((note) => `${file}: note: ${note}`),
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
