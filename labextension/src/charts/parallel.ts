// Where runs stand on the axes of a picture of parallel coordinates. Pure.

import type { Difference } from '../api/generated.js';
import { formatNumber, ticks } from './scale.js';

/** Axes drawn; more are too narrow to read. */
export const MOST_AXES = 12;
const SYSTEM = 'system/';

export interface Axis {
  readonly kind: string;
  readonly name: string;
  /** Whether places go by the logarithm. */
  readonly bent: boolean;
  /** Where each run stands, from 0 (bottom) to 1; null where it has no value. */
  readonly places: readonly (number | null)[];
  readonly marks: readonly { readonly at: number; readonly words: string }[];
}

/** Parameters, then figures, that differ between the runs. */
export function axesOf(differences: readonly Difference[]): Axis[] {
  const of = (kind: string): Difference[] =>
    differences.filter(
      item => item.kind === kind && !item.name.startsWith(SYSTEM)
    );
  return [...of('param'), ...of('metric')].slice(0, MOST_AXES).map(axisOf);
}

export function axisOf(item: Difference): Axis {
  const { kind, name, values } = item;
  const known = values.filter(value => value !== null);
  const numbers = known.map(asNumber);
  const made = numbers.every(number => number !== null)
    ? ofNumbers(values.map(value => (value === null ? null : asNumber(value))))
    : ofWords(values);
  return { kind, name, ...made };
}

function asNumber(text: string): number | null {
  const number = text.trim() === '' ? NaN : Number(text);
  return Number.isFinite(number) ? number : null;
}

function ofNumbers(
  values: readonly (number | null)[]
): Pick<Axis, 'bent' | 'places' | 'marks'> {
  const known = values.filter(value => value !== null);
  const low = Math.min(...known);
  const high = Math.max(...known);
  // Learning rates and the like are spread by factors.
  const bent = low > 0 && high / low >= 100;
  const scale = bent ? Math.log10 : (value: number): number => value;
  const length = scale(high) - scale(low);
  const at = (value: number): number =>
    length > 0 ? (scale(value) - scale(low)) / length : 0.5;
  const between = bent ? [] : ticks([low, high], 3);
  const marks = [low, ...between, high]
    .map(value => ({ at: at(value), words: formatNumber(value, 3) }))
    .filter(
      (mark, index, all) =>
        index === 0 ||
        index === all.length - 1 ||
        (mark.at > 0.12 && mark.at < 0.88)
    )
    .filter((mark, index, all) => index === 0 || mark.at > all[index - 1].at);
  return {
    bent,
    places: values.map(value => (value === null ? null : at(value))),
    marks
  };
}

function ofWords(
  values: readonly (string | null)[]
): Pick<Axis, 'bent' | 'places' | 'marks'> {
  const words = [...new Set(values.filter(value => value !== null))].sort();
  const at = (word: string): number =>
    words.length > 1 ? words.indexOf(word) / (words.length - 1) : 0.5;
  return {
    bent: false,
    places: values.map(value => (value === null ? null : at(value))),
    marks: words.map(word => ({ at: at(word), words: word }))
  };
}
