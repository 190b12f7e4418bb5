import type { Clock } from '../time/clock.ts'
import type { LiveState } from './live-state.ts'
import { colourPalette, plainPalette, renderLiveView, renderPlainLine } from './live-view.ts'

/** Where the picture goes: `process.stdout`, or a recording in tests. */
export interface Screen {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
  write(text: string): unknown
}

export interface PaintOptions {
  readonly screen: Screen
  readonly clock: Clock
  readonly colour: boolean
  readonly read: () => LiveState
}

/** Fast enough to feel alive, slow enough to cost nothing. */
const paintEveryMs = 250
const lineEveryMs = 1000

const hideCursor = '\u001b[?25l'
const showCursor = '\u001b[?25h'
const clearLine = '\u001b[K'
const clearBelow = '\u001b[J'

/**
 * Paints in place until the signal aborts, then once more, and gives the cursor back. Without a terminal it writes
 * one plain line a second instead.
 */
export async function paintLiveView(options: PaintOptions, signal: AbortSignal): Promise<void> {
  const { screen, clock } = options
  const terminal = screen.isTTY === true
  const paint = terminal
    ? createPainter(options)
    : () => void screen.write(`${renderPlainLine(options.read())}\n`)
  if (terminal) screen.write(hideCursor)
  try {
    while (!signal.aborted) {
      paint()
      await clock.sleep(terminal ? paintEveryMs : lineEveryMs, signal).catch((error: unknown) => {
        if (!signal.aborted) throw error
      })
    }
    paint()
  } finally {
    if (terminal) screen.write(showCursor)
  }
}

/** Each call goes up over what the last one wrote and writes anew, clearing what is left of longer lines. */
function createPainter({ screen, colour, read }: PaintOptions): () => void {
  let painted = 0
  return () => {
    // The last column stays free: some terminals wrap when it is written.
    const width = (screen.columns ?? 80) - 1
    const rows = Math.max(1, (screen.rows ?? 24) - 1)
    const lines = cut(renderLiveView(read(), width, colour ? colourPalette : plainPalette), rows)
    const up = painted > 0 ? `\u001b[${painted}A\r` : ''
    screen.write(`${up}${lines.map((line) => `${line}${clearLine}\n`).join('')}${clearBelow}`)
    painted = lines.length
  }
}

/** The first lines and the last, which says what can be pressed. */
function cut(lines: readonly string[], rows: number): readonly string[] {
  return lines.length <= rows ? lines : [...lines.slice(0, rows - 1), ...lines.slice(-1)]
}
