// What is shown as a file for a spreadsheet: exact amounts, and no cell that it would run. Pure.

import type { CostRow } from '../api/generated.js';

const DIGITS = 12;

/** Counts of a group, in the order of the file's columns; the same as `snapml cost --csv` writes. */
const COUNTS = [
  'requests',
  'failed',
  'hits',
  'input_tokens',
  'cached_tokens',
  'cache_write_tokens',
  'output_tokens',
  'reasoning_tokens',
  'machine_seconds'
] as const;

export function csvOf(by: string, rows: readonly CostRow[]): string {
  const head = [by, ...COUNTS, 'dollars', 'unknown'];
  const lines = rows.map(row => [
    harmless(row.group),
    ...COUNTS.map(name => String(row[name])),
    exactDollars(BigInt(row.cost_pico)),
    String(row.unknown)
  ]);
  return [head, ...lines].map(line => `${line.map(cell).join(',')}\n`).join('');
}

/** Dollars with all their digits. */
export function exactDollars(pico: bigint): string {
  const unit = 10n ** BigInt(DIGITS);
  const part = (pico % unit).toString().padStart(DIGITS, '0');
  const digits = part.replace(/0+$/, '');
  return `${pico / unit}${digits === '' ? '' : `.${digits}`}`;
}

/** A name that begins as a formula does is marked as text (OWASP, "CSV Injection"). */
function harmless(text: string): string {
  return /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
}

function cell(text: string): string {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
