import { MillraceError } from '../errors.ts'

/** How commander shows the argument; `--topology` says the same, for commands in which it is often written behind others. */
export const topologyArgument = ['[topology]', 'topology file (YAML)'] as const
export const topologyOption = ['--topology <file>', 'the topology file, as an option'] as const

/**
 * The one topology file that was named, as an argument or as an option.
 *
 * @throws MillraceError `USAGE` when there is none, or two that differ
 */
export function topologyFile(argument: string | undefined, option: string | undefined): string {
  if (argument !== undefined && option !== undefined && argument !== option) {
    throw new MillraceError('USAGE', `two topology files, ${argument} and ${option}: name one`)
  }
  const file = argument ?? option
  if (file === undefined) {
    throw new MillraceError('USAGE', 'name the topology file, for example topologies/card-fraud.yaml')
  }
  return file
}
