import { createRandom, createWeightedDraw, type Random } from './random.ts'

/**
 * Customers and terminals on a square map, after the simulator of the Fraud Detection Handbook (Le Borgne et al.):
 * a customer pays at the terminals near home, amounts scatter around a mean of one's own.
 */
export interface World {
  readonly customers: readonly string[]
  readonly terminals: readonly string[]
  /** Draws a customer by how often one pays: a few pay several times a day, most a few times a month. */
  drawByHabit(random: Random): number
  /** Index of a terminal near the customer's home. */
  terminalNear(customer: number, random: Random): number
  /** An amount typical of the customer, in cents; at least 1. */
  amountCents(customer: number, random: Random): number
}

/** Side of the square; distances have no unit. */
const mapSide = 100
/** With 2 000 terminals about 16 are this near. */
const nearDistance = 5
/** Mean amounts, whole currency units, as in the handbook. */
const meanAmountMin = 5
const meanAmountMax = 100
/** Spread of the habit (sigma of its logarithm): the tenth that pays most makes half of all payments. */
const habitSpread = 1.2

export function createWorld(seed: number, customerCount: number, terminalCount: number): World {
  const random = createRandom(seed)
  const terminals = scatter(random, terminalCount)
  const homes = scatter(random, customerCount)
  const near = findNear(homes, terminals)
  const meanCents = Float64Array.from({ length: customerCount }, () =>
    random.between(meanAmountMin * 100, meanAmountMax * 100),
  )
  const habits = Float64Array.from({ length: customerCount }, () => Math.exp(random.normal(0, habitSpread)))
  return {
    customers: names('c', customerCount),
    terminals: names('t', terminalCount),
    drawByHabit: createWeightedDraw(habits),
    terminalNear(customer, draw) {
      const from = near.start[customer]!
      return near.terminals[from + draw.below(near.start[customer + 1]! - from)]!
    },
    amountCents(customer, draw) {
      const mean = meanCents[customer]!
      const amount = draw.normal(mean, mean / 2)
      return Math.max(1, Math.round(amount > 0 ? amount : draw.between(0, 2 * mean)))
    },
  }
}

interface Places {
  readonly x: Float64Array
  readonly y: Float64Array
}

function scatter(random: Random, count: number): Places {
  const place = () => Float64Array.from({ length: count }, () => random.between(0, mapSide))
  return { x: place(), y: place() }
}

function names(prefix: string, count: number): readonly string[] {
  const width = String(count - 1).length
  return Array.from({ length: count }, (_, i) => `${prefix}${String(i).padStart(width, '0')}`)
}

interface Near {
  /** Terminals of customer c are `terminals[start[c]] … terminals[start[c + 1] - 1]`; at least one. */
  readonly start: Int32Array
  readonly terminals: Int32Array
}

/** Terminals within `nearDistance` of each home (the nearest one where there is none), by a grid of that cell size. */
function findNear(homes: Places, terminals: Places): Near {
  const cells = mapSide / nearDistance
  const cellOf = (value: number) => Math.min(cells - 1, Math.floor(value / nearDistance))
  const grid: number[][] = Array.from({ length: cells * cells }, () => [])
  for (let t = 0; t < terminals.x.length; t++) {
    grid[cellOf(terminals.y[t]!) * cells + cellOf(terminals.x[t]!)]!.push(t)
  }
  const distance = (home: number, t: number) =>
    Math.hypot(homes.x[home]! - terminals.x[t]!, homes.y[home]! - terminals.y[t]!)
  const start = new Int32Array(homes.x.length + 1)
  const found: number[] = []
  for (let home = 0; home < homes.x.length; home++) {
    const column = cellOf(homes.x[home]!)
    const row = cellOf(homes.y[home]!)
    for (let y = Math.max(0, row - 1); y <= Math.min(cells - 1, row + 1); y++) {
      for (let x = Math.max(0, column - 1); x <= Math.min(cells - 1, column + 1); x++) {
        for (const t of grid[y * cells + x]!) if (distance(home, t) <= nearDistance) found.push(t)
      }
    }
    if (found.length === start[home]) found.push(nearest(terminals.x.length, (t) => distance(home, t)))
    start[home + 1] = found.length
  }
  return { start, terminals: Int32Array.from(found) }
}

function nearest(count: number, distance: (t: number) => number): number {
  let best = 0
  for (let t = 1; t < count; t++) if (distance(t) < distance(best)) best = t
  return best
}
