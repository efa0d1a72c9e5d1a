// A job's output as a terminal would show it: a carriage return goes back to
// the start of its line, so that a progress bar stays one line. Colours and
// other escape sequences are dropped. Pure.

/** Lines kept; older ones fall off the top. */
export const MAX_LINES = 5000;
/** Characters kept of one line; a stream without newlines must not grow for ever. */
const MAX_WIDTH = 20_000;

export interface LogText {
  readonly lines: readonly string[];
  /** Where the next character goes in the last line. */
  readonly column: number;
  /** The start of an escape sequence whose rest has not come yet. */
  readonly held: string;
  /** Whether older output is missing at the top. */
  readonly cut: boolean;
}

export const EMPTY_LOG: LogText = {
  lines: [''],
  column: 0,
  held: '',
  cut: false
};

// CSI and OSC sequences, and two-character escapes (ECMA-48).
const ESCAPE =
  /^\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])/;
// What may still become one; longer than this it is garbage.
const MAX_HELD = 256;
const TOKEN = /[\n\r\b\x1b]|[^\n\r\b\x1b]+/g;

export function append(log: LogText, chunk: string): LogText {
  const text = log.held + chunk;
  const lines = [...log.lines];
  let line = lines.pop() ?? '';
  let column = log.column;
  let held = '';
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match; match = TOKEN.exec(text)) {
    const token = match[0];
    if (token === '\n') {
      lines.push(line);
      line = '';
      column = 0;
    } else if (token === '\r') {
      column = 0;
    } else if (token === '\b') {
      column = Math.max(0, column - 1);
    } else if (token === '\x1b') {
      const rest = text.slice(match.index, match.index + MAX_HELD);
      const escape = ESCAPE.exec(rest)?.[0];
      if (escape !== undefined) {
        TOKEN.lastIndex = match.index + escape.length;
        line = erase(line, column, escape);
      } else if (rest.length < MAX_HELD) {
        held = rest;
        break;
      }
    } else {
      const padded = line.padEnd(column).slice(0, column);
      line = padded + token + line.slice(column + token.length);
      column += token.length;
      if (line.length > MAX_WIDTH) {
        line = line.slice(-MAX_WIDTH);
        column = Math.min(column, line.length);
      }
    }
  }
  lines.push(line);
  const surplus = Math.max(0, lines.length - MAX_LINES);
  return {
    lines: surplus > 0 ? lines.slice(surplus) : lines,
    column,
    held,
    cut: log.cut || surplus > 0
  };
}

/** The end of a log; its first line may have lost its start, and is left out. */
export function tail(chunk: string): LogText {
  const whole = chunk.slice(chunk.indexOf('\n') + 1);
  return append({ ...EMPTY_LOG, cut: true }, whole);
}

/** `CSI K`: to the end of the line, to its start, or all of it. */
function erase(line: string, column: number, escape: string): string {
  switch (escape) {
    case '\x1b[K':
    case '\x1b[0K':
      return line.slice(0, column);
    case '\x1b[1K':
      return ' '.repeat(Math.min(column, line.length)) + line.slice(column);
    case '\x1b[2K':
      return '';
    default:
      return line;
  }
}
