"""Runs the demo in a pseudo-terminal, takes the screen some seconds after it went live, and writes it as SVG."""

import argparse
import fcntl
import html
import os
import pathlib
import pty
import re
import select
import struct
import sys
import termios
import time

import pyte

ROOT = pathlib.Path(__file__).resolve().parent.parent
COLUMNS, ROWS = 110, 32
START_MAX_S = 600  # downloads and 40 days of history, on a slow machine
DRAIN_MAX_S = 60

# A window with a background of its own is readable on light and dark pages.
BACKGROUND, FRAME, TEXT, DIM = '#0d1117', '#30363d', '#e6edf3', '#8b949e'
COLOURS = {'red': '#ff7b72', 'green': '#3fb950', 'brown': '#d29922', 'brightblack': DIM}
CELL_W, LINE_H, FONT_SIZE, PAD = 7.8, 17, 13, 16


def main():
    args = arguments()
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.environ['TERM'] = 'xterm-256color'
        os.environ.pop('NO_COLOR', None)
        os.execvp('sh', ['sh', 'scripts/node.sh', 'src/main.ts', 'demo'])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', ROWS, COLUMNS, 0, 0))

    if not read_until(terminal, stream, START_MAX_S, lambda: is_live(screen)):
        fail(pid, screen, f'the demo was not live after {START_MAX_S} s')
    read_until(terminal, stream, args.seconds, lambda: False)
    if not is_live(screen):
        fail(pid, screen, 'the demo is not live any more')
    picture = svg(view_of(screen))
    os.write(terminal, b'q')
    read_until(terminal, stream, DRAIN_MAX_S, lambda: False)
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f'capture: the demo ended with {os.waitstatus_to_exitcode(status)}')
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(picture)
    print(f'capture: wrote {args.out}')


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seconds', type=float, default=45, help='how long to let it run live (default: %(default)s)')
    parser.add_argument('--out', type=pathlib.Path, default=ROOT / 'docs' / 'images' / 'live-view.svg')
    return parser.parse_args()


def read_until(terminal, stream, max_s, done):
    """Feeds the terminal's output to the screen; True once `done`, False when time is up or the program has ended."""
    until = time.monotonic() + max_s
    while time.monotonic() < until:
        if done():
            return True
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            # pyte does not know faint text; the dark grey it becomes is what terminals show.
            stream.feed(os.read(terminal, 65_536).replace(b'\x1b[2m', b'\x1b[90m'))
        except OSError:  # how Linux says that the other side is closed
            return False
    return False


def is_live(screen):
    return any(re.search(r' live  up ', line) for line in screen.display)


def fail(pid, screen, message):
    try:
        os.kill(pid, 15)
    except ProcessLookupError:
        pass
    sys.exit('\n'.join([f'capture: {message}', *(line.rstrip() for line in screen.display)]))


def view_of(screen):
    """Lines of the live view as runs of equal style; what was printed before it is left out."""
    rows = [screen.buffer[y] for y in range(ROWS)]
    first = next(y for y, line in enumerate(screen.display) if line.startswith('millrace '))
    lines = [runs_of(row) for row in rows[first:]]
    while lines and not ''.join(text for text, _ in lines[-1]).strip():
        lines.pop()
    return lines


def runs_of(row):
    runs = []
    for x in range(COLUMNS):
        cell = row[x]
        style = (cell.fg, cell.bold)
        if runs and runs[-1][1] == style:
            runs[-1] = (runs[-1][0] + cell.data, style)
        else:
            runs.append((cell.data, style))
    return runs


def svg(lines):
    width = COLUMNS * CELL_W + 2 * PAD
    height = len(lines) * LINE_H + 2 * PAD
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" aria-label="Live view of the demo">',
        f'<rect x="0.5" y="0.5" width="{width - 1:.0f}" height="{height - 1:.0f}" rx="8" fill="{BACKGROUND}" '
        f'stroke="{FRAME}"/>',
        '<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" '
        f'font-size="{FONT_SIZE}" fill="{TEXT}" xml:space="preserve">',
    ]
    for y, runs in enumerate(lines):
        baseline = PAD + y * LINE_H + FONT_SIZE
        x = 0
        for text, style in runs:
            if text.strip():
                lead = len(text) - len(text.lstrip(' '))
                out.append(text_element(text.strip(' '), x + lead, baseline, style))
            x += len(text)
    return '\n'.join([*out, '</g>', '</svg>', ''])


def text_element(text, column, baseline, style):
    # The length is given, so that any monospaced font keeps the columns.
    colour, bold = style
    fill = f' fill="{COLOURS.get(colour, TEXT)}"' if colour != 'default' else ''
    weight = ' font-weight="bold"' if bold else ''
    length = f' textLength="{len(text) * CELL_W:.1f}" lengthAdjust="spacingAndGlyphs"'
    x = PAD + column * CELL_W
    return f'<text x="{x:.1f}" y="{baseline}"{fill}{weight}{length}>{html.escape(text, quote=False)}</text>'


main()
