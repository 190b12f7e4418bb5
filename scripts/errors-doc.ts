import { errorTable, type Reaction } from '../src/errors.ts'

const reactionTexts: Record<Reaction, string> = {
  retry: 'waits and tries again, in order',
  deadLetter: 'writes the record to the dead-letter topic and goes on',
  handOver: 'drops the partition and takes it over again',
  stop: 'ends the process',
}

/** docs/errors.md: the table of src/errors.ts in words. */
export function errorsDoc(): string {
  const sections = Object.entries(errorTable).map(
    ([code, { meaning, remedy, reaction, exitCode }]) =>
      `## ${code}\n\n${meaning}\n\n- What to do: ${remedy}\n` +
      `- What the service does: ${reactionTexts[reaction]}.\n- Exit code when it ends a command: ${exitCode}.\n`,
  )
  return `${introduction}\n${sections.join('\n')}`
}

const introduction = `# Errors

Written by \`npm run docs\` from \`src/errors.ts\`; a test checks that it is current. Every error that millrace raises
itself starts with one of these codes. Bad records are not errors: they become dead letters with a reason.
`
