// What is wrong with a form, field by field: what was seen here, and what the server said. Pure.

import { CommandError } from '../api/errors.js';

/** A sentence for each field that is wrong. */
export type Faults<F extends string> = Partial<Record<F, string>>;

/**
 * The fault that a refusal names: the server begins such a sentence with the
 * field's name and a colon. Null where it is none of these fields'.
 */
export function faultOf<F extends string>(
  problem: unknown,
  fields: readonly F[]
): Faults<F> | null {
  if (!(problem instanceof CommandError)) {
    return null;
  }
  const end = problem.message.indexOf(': ');
  const field = fields.find(name => name === problem.message.slice(0, end));
  return field === undefined
    ? null
    : ({ [field]: problem.message.slice(end + 2) } as Faults<F>);
}

/** A whole number above 0 as people write it: `600`, `10 000`. Null where it is none. */
export function wholeNumber(text: string): number | null {
  const digits = text.trim().replace(/(?<=\d)[\s,'_](?=\d{3}(?!\d))/g, '');
  const value = /^\d{1,15}$/.test(digits) ? Number(digits) : 0;
  return value > 0 ? value : null;
}

/** Dollars as people write them, for the server: `0.50`, `$5`. Null where they are none. */
export function dollars(text: string): string | null {
  const digits = text.trim().replace(/^\$\s*/, '');
  return /^(\d{1,7}(\.\d{0,12})?|\.\d{1,12})$/.test(digits) ? digits : null;
}

/** Names or patterns, as `chat*, story`. */
export function names(text: string): string[] {
  return text
    .split(',')
    .map(name => name.trim())
    .filter(Boolean);
}
