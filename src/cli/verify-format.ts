import type { Behind, Finding, Findings, Places, VerifyReport } from '../service/verify/tally.ts'

/** For people: the verdict first, then what differs, then what was left out and why. */
export function formatReport(report: VerifyReport): string {
  const { compared, wrong, flagged, scores, behind } = report
  const lines = [
    verdict(report),
    '',
    ...section(`differences in ${wrong} of ${compared} predictions compared`, rowsOf(report.differences)),
    ...placesLine('missing: committed, without prediction or dead letter', report.missing),
    ...placesLine('extra: predictions of records that give none', report.extra),
    ...placesLine('twice: records with more than one prediction', report.twice),
    ...placesLine('both: records with a prediction and a dead letter', report.both),
    ...section(
      `behind: ${behind.count} predictions saw less than their windows need, without a flag`,
      behind.examples.map(behindRow),
    ),
    ...section(
      `flagged (unaligned, gap), counted apart: ${flagged.rows} predictions, ${flagged.differing} of them differ`,
      rowsOf(flagged.differences),
      flagged.rows > 0,
    ),
    ...section('differences that mean nothing: not the same twice', rowsOf(report.approximate)),
    `scores      ${scores.compared} compared${scores.otherModels === 0 ? '' : `, ${scores.otherModels} by other models`}`,
    `models      ${
      Object.entries(report.models)
        .map(([name, count]) => `${name} (${count})`)
        .join(', ') || 'none'
    }`,
    ...(report.deadLetters === 0 ? [] : [`dead letters in place of predictions: ${report.deadLetters}`]),
    ...(report.deleted === 0 ? [] : [`predictions of deleted records: ${report.deleted}`]),
    ...section(
      'not compared',
      report.notCompared.map((what) => [what]),
    ),
  ]
  return `${lines.join('\n')}\n`
}

function verdict({ differs, compared, wrong, missing, extra, twice, both, behind }: VerifyReport): string {
  if (!differs && compared === 0) return 'nothing was compared: no prediction was chosen'
  if (!differs) return `no difference: ${compared} predictions are what the log gives`
  const counts: [number, string][] = [
    [wrong, 'differ'],
    [missing.count, 'are missing'],
    [extra.count, 'are extra'],
    [twice.count, 'are there twice'],
    [both.count, 'are there beside a dead letter'],
    [behind.count, 'saw too little without a flag'],
  ]
  const found = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`)
  return `DIFFERENCES: of ${compared} predictions compared, ${found.join(', ')}`
}

function placesLine(title: string, { count, examples }: Places): string[] {
  if (count === 0) return []
  return [title, `  ${count}: ${examples.join(', ')}${count > examples.length ? ', …' : ''}`, '']
}

function section(title: string, rows: readonly (readonly string[])[], evenEmpty = false): string[] {
  if (rows.length === 0) return evenEmpty ? [title, ''] : []
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return [
    title,
    ...rows.map(
      (row) =>
        `  ${row
          .map((cell, i) => cell.padEnd(widths[i]!))
          .join('  ')
          .trimEnd()}`,
    ),
    '',
  ]
}

function rowsOf(findings: Findings): string[][] {
  return Object.entries(findings)
    .toSorted(([, a], [, b]) => b.rows - a.rows)
    .map(([name, finding]) => [name, `${finding.rows} rows`, ...details(finding)])
}

function behindRow({ id, place, input, held, needed, feature }: Behind): string[] {
  return [id, `at ${place}`, feature, `had read ${input} below ${held}`, `needed it below ${needed}`]
}

function details({ largest, example }: Finding): string[] {
  const { place, published, recomputed } = example
  return [
    largest === null ? '' : `by up to ${largest}`,
    `published ${published}, recomputed ${recomputed}`,
    `at ${place}`,
  ]
}
