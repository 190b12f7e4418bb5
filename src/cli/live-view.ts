import type { Reason, Severity } from '../record/prediction.ts'
import type { LiveAlert, LivePartition, LiveState, LiveSystem } from './live-state.ts'
import { visible } from '../telemetry/visible.ts'

/** Styles by meaning; without colour every one of them is empty. */
export interface Palette {
  dim(text: string): string
  bold(text: string): string
  good(text: string): string
  warn(text: string): string
  bad(text: string): string
}

const plainText = (text: string) => text
export const plainPalette: Palette = {
  dim: plainText,
  bold: plainText,
  good: plainText,
  warn: plainText,
  bad: plainText,
}

const sgr = (code: string) => (text: string) => (text === '' ? '' : `\u001b[${code}m${text}\u001b[0m`)
export const colourPalette: Palette = {
  dim: sgr('2'),
  bold: sgr('1'),
  good: sgr('32'),
  warn: sgr('33'),
  bad: sgr('31'),
}

const alertsShown = 6
const partitionsShown = 8
const widthMin = 40
const widthMax = 140

/** The picture as lines of at most `width` columns. Pure: the same state gives the same lines. */
export function renderLiveView(state: LiveState, width: number, palette: Palette = plainPalette): string[] {
  const columns = Math.max(widthMin, Math.min(width, widthMax))
  return [
    ...renderHead(state, columns, palette),
    '',
    ...renderRate(state, columns, palette),
    '',
    ...renderPartitions(state.partitions, columns, palette),
    '',
    ...renderAlerts(state.alerts, columns, palette),
    '',
    palette.dim(fit(state.keys.map(([key, does]) => `${key} ${does}`).join('   '), columns)),
  ]
}

/** One line for a log or a pipe, without control characters. */
export function renderPlainLine(state: LiveState): string {
  const { predictions, alerts, deadLetters } = state.totals
  const lag = totalLag(state.partitions)
  return [
    state.phase,
    `events/s=${Math.round(currentRate(state))}`,
    ...(state.latency
      ? [`p50_ms=${round(state.latency.p50Ms)}`, `p99_ms=${round(state.latency.p99Ms)}`]
      : []),
    `lag=${lag ?? 'unknown'}`,
    `predictions=${predictions}`,
    `alerts=${alerts}`,
    `dead_letters=${deadLetters}`,
    ...(state.kafka.ok ? [] : [`kafka="${state.kafka.detail}"`]),
    ...(state.redis.ok ? [] : [`redis="${state.redis.detail}"`]),
  ].join(' ')
}

function renderHead(state: LiveState, columns: number, palette: Palette): string[] {
  const title = `millrace ${state.name}`
  const right = `${state.phase}  up ${formatSpan(state.upMs)}`
  const left = fit(title, Math.max(0, columns - right.length - 2))
  const gap = ' '.repeat(Math.max(2, columns - left.length - right.length))
  const half = Math.floor((columns - 2) / 2)
  return [
    `${palette.bold(left)}${gap}${fit(right, columns)}`,
    `${renderSystem('Kafka', state.kafka, half, palette)}  ${renderSystem('Redis', state.redis, half, palette)}`.trimEnd(),
  ]
}

function renderSystem(name: string, system: LiveSystem, columns: number, palette: Palette): string {
  const mark = system.ok ? palette.good('●') : palette.bad('✗')
  const text = `${name} ${system.detail}`
  return `${mark} ${fit(text, columns - 2).padEnd(columns - 2)}`
}

function renderRate(state: LiveState, columns: number, palette: Palette): string[] {
  const { predictions, alerts, deadLetters } = state.totals
  const rate = `${formatCount(Math.round(currentRate(state)))} events/s`.padEnd(18)
  const latency = state.latency
    ? `event to prediction  p50 ${formatMs(state.latency.p50Ms)}  p99 ${formatMs(state.latency.p99Ms)}`
    : 'event to prediction  -'
  const chart = sparkline(state.eventsPerSecond, Math.max(0, columns - rate.length))
  const totals = [
    `${formatCount(predictions)} predictions`,
    `${formatCount(alerts)} alerts`,
    `${formatCount(deadLetters)} dead letters`,
  ].join('   ')
  return [`${palette.bold(rate)}${palette.good(chart)}`, fit(latency, columns), fit(totals, columns)]
}

function renderPartitions(partitions: readonly LivePartition[], columns: number, palette: Palette): string[] {
  const lag = totalLag(partitions)
  const heading = `Partitions (${partitions.length})   lag ${lag === null ? 'unknown' : formatCount(lag)} records`
  // Mark, gaps, status (12), lag (9) and age (6) take 32 columns.
  const nameColumns = Math.min(28, columns - 32)
  const lines = partitions.slice(0, partitionsShown).map((partition) => {
    const name = fitEnd(`${partition.topic}/${partition.partition}`, nameColumns).padEnd(nameColumns)
    const status = fit(partition.status, 12).padEnd(12)
    const records = (partition.lagRecords === null ? '-' : formatCount(partition.lagRecords)).padStart(9)
    const age = (partition.lagMs === null ? '' : formatSpan(partition.lagMs)).padStart(6)
    const style = partition.status === 'serving' ? plainText : (text: string) => palette.warn(text)
    return `  ${name} ${style(status)} ${records} ${age}`.trimEnd()
  })
  const more = partitions.length - partitionsShown
  return [palette.dim(fit(heading, columns)), ...lines, ...(more > 0 ? [`  and ${more} more`] : [])]
}

function renderAlerts(alerts: readonly LiveAlert[], columns: number, palette: Palette): string[] {
  if (alerts.length === 0) return [palette.dim('Last alerts'), '  none yet']
  const lines = alerts.slice(0, alertsShown).flatMap((alert) => {
    const severity = severityStyle(alert.severity, palette)(alert.severity.padEnd(8))
    const before = `  ${formatClock(alert.occurredAt)} `
    const room = columns - before.length - 8
    const rest = ` ${alert.score.toFixed(3)}  ${alert.key}  ${alert.rules.join(', ')}`
    const reasons = alert.reasons.map(describeReason).join(', ')
    return [
      `${before}${severity}${fit(rest, room)}`.trimEnd(),
      ...(reasons === '' ? [] : [palette.dim(fit(`           ${reasons}`, columns))]),
    ]
  })
  return [palette.dim('Last alerts'), ...lines]
}

/** `terminal_risk_7d 0.82 (usually 0)`. */
export function describeReason(reason: Reason): string {
  return `${reason.feature} ${formatNumber(reason.value)} (usually ${formatNumber(reason.baseline)})`
}

function severityStyle(severity: Severity, palette: Palette): (text: string) => string {
  if (severity === 'critical' || severity === 'high') return (text) => palette.bad(text)
  return (text) => (severity === 'medium' ? palette.warn(text) : palette.dim(text))
}

const bars = '▁▂▃▄▅▆▇█'

/** The newest values that fit, one column each, scaled to the largest of them. */
export function sparkline(values: readonly number[], columns: number): string {
  const shown = columns > 0 ? values.slice(-columns) : []
  const largest = Math.max(0, ...shown)
  return shown
    .map((value) => bars[largest === 0 ? 0 : Math.min(7, Math.floor((value / largest) * 7.999))])
    .join('')
}

/** Mean of the last three seconds: a single one jumps with the batches. */
function currentRate(state: LiveState): number {
  const last = state.eventsPerSecond.slice(-3)
  return last.length === 0 ? 0 : last.reduce((sum, rate) => sum + rate, 0) / last.length
}

function totalLag(partitions: readonly LivePartition[]): number | null {
  const known = partitions.flatMap(({ lagRecords }) => (lagRecords === null ? [] : [lagRecords]))
  return known.length === 0 ? null : known.reduce((sum, lag) => sum + lag, 0)
}

/** At most `columns` characters; what is cut off is shown by an ellipsis. */
function fit(text: string, columns: number): string {
  const clean = visible(text)
  return clean.length <= columns ? clean : `${clean.slice(0, Math.max(0, columns - 1))}…`.slice(0, columns)
}

/** Keeps the end, where the partition number is. */
function fitEnd(text: string, columns: number): string {
  const clean = visible(text)
  return clean.length <= columns ? clean : `…${clean.slice(clean.length - columns + 1)}`
}

function formatClock(epochMs: number): string {
  return Number.isFinite(new Date(epochMs).getTime())
    ? new Date(epochMs).toISOString().slice(11, 19)
    : '--:--:--'
}

function formatMs(ms: number): string {
  return ms >= 10_000
    ? `${(ms / 1000).toFixed(0)} s`
    : ms >= 1000
      ? `${(ms / 1000).toFixed(1)} s`
      : `${round(ms)} ms`
}

function round(ms: number): number {
  return ms >= 10 ? Math.round(ms) : Math.round(ms * 10) / 10
}

/** `8s`, `2m 05s`, `3h 12m`, `40d 02h`. */
export function formatSpan(ms: number): string {
  const seconds = Math.floor(Math.max(0, ms) / 1000)
  const two = (value: number) => String(value).padStart(2, '0')
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${two(seconds % 60)}s`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h ${two(Math.floor(seconds / 60) % 60)}m`
  return `${Math.floor(seconds / 86_400)}d ${two(Math.floor(seconds / 3600) % 24)}h`
}

/** 1 234 567 as `1,234,567`. */
export function formatCount(count: number): string {
  return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ',')
}

function formatNumber(value: number): string {
  if (Number.isInteger(value)) return formatCount(value)
  return Math.abs(value) >= 100 ? formatCount(value) : String(Number(value.toPrecision(3)))
}
