/** One row of the plot: recovery times of a fault, ms. */
export interface PlotRow {
  readonly name: string
  readonly group: string
  readonly times: readonly number[]
}

const rowHeight = 18
const left = 190
const width = 760
const right = 20
const top = 34
const colours: Readonly<Record<string, string>> = {
  crash: '#cf222e',
  zombie: '#8250df',
  network: '#1f6feb',
  rebalance: '#1a7f37',
  broker: '#9a6700',
  redis: '#bf3989',
}
const otherColour = '#57606a'

/** An SVG with a dot per round on a logarithmic axis and a line at the median of each fault. */
export function plot(title: string, rows: readonly PlotRow[]): string {
  const all = rows.flatMap(({ times }) => times)
  const low = 10 ** Math.floor(Math.log10(Math.max(10, Math.min(...all))))
  const high = 10 ** Math.ceil(Math.log10(Math.max(100, ...all)))
  const x = (ms: number): number =>
    left +
    ((Math.log10(Math.max(low, ms)) - Math.log10(low)) / (Math.log10(high) - Math.log10(low))) *
      (width - left - right)
  const height = top + rows.length * rowHeight + 30
  const ticks = decades(low, high).map(
    (ms) =>
      `<line x1="${r(x(ms))}" x2="${r(x(ms))}" y1="${top - 6}" y2="${height - 26}" stroke="#788390" stroke-width="0.4"/>` +
      `<text x="${r(x(ms))}" y="${height - 12}" text-anchor="middle" fill="#788390">${label(ms)}</text>`,
  )
  const lines = rows.map(({ name, group, times }, index) => {
    const y = top + index * rowHeight + rowHeight / 2
    const colour = colours[group] ?? otherColour
    const dots = times.map(
      (ms) => `<circle cx="${r(x(ms))}" cy="${y}" r="3" fill="${colour}" fill-opacity="0.45"/>`,
    )
    const middle = r(x(quantile(times, 0.5)))
    const median = `<line x1="${middle}" x2="${middle}" y1="${y - 6}" y2="${y + 6}" stroke="${colour}" stroke-width="2"/>`
    return `<text x="${left - 10}" y="${y + 4}" text-anchor="end" fill="#788390">${name}</text>${dots.join('')}${median}`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${title}">`,
    `<g font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="11">`,
    `<text x="${left}" y="16" fill="#788390" font-size="13">${title}</text>`,
    ...ticks,
    ...lines,
    '</g>',
    '</svg>',
    '',
  ].join('\n')
}

function r(value: number): number {
  return Math.round(value * 10) / 10
}

function decades(low: number, high: number): number[] {
  const ticks: number[] = []
  for (let ms = low; ms <= high; ms *= 10) ticks.push(ms)
  return ticks
}

function label(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : `${ms / 1_000} s`
}

/** The smallest value that at least this share of them do not exceed; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN
}
