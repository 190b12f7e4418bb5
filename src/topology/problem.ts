import { MillraceError } from '../errors.ts'

/** One thing to correct in a topology file. */
export interface Problem {
  /** As given on the command line. */
  readonly file: string
  /** 1-based. */
  readonly line: number
  /** 1-based, in UTF-16 units. */
  readonly column: number
  /** `features.customer_count.window`; empty for the file as a whole. */
  readonly path: string
  /** What is wrong. */
  readonly message: string
  /** What to do; empty when the message says it. */
  readonly suggestion: string
}

/** A topology with problems; all of them, in the order of the file. */
export class TopologyError extends MillraceError {
  readonly problems: readonly Problem[]
  readonly warnings: readonly Problem[]
  constructor(file: string, problems: readonly Problem[], warnings: readonly Problem[] = []) {
    const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
    super('TOPOLOGY_INVALID', `${file} has ${count}:\n${problems.map(formatProblem).join('\n')}`)
    this.name = 'TopologyError'
    this.problems = problems
    this.warnings = warnings
  }
}

/** `topologies/x.yaml:12:7  features.foo.window: "1dd" is not a duration. Write …` */
export function formatProblem(problem: Problem): string {
  const { file, line, column, path, message, suggestion } = problem
  const text = suggestion === '' ? message : `${message} ${suggestion}`
  return `${file}:${line}:${column}  ${path === '' ? '' : `${path}: `}${text}`
}

export type Path = readonly (string | number)[]

/** `sinks.predictions.include[0]` */
export function pathText(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`
    return text === '' ? part : `${text}.${part}`
  }, '')
}
