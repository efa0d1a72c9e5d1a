// Models behind one name beside each other: what each did, what differs, and what a step would do. Pure; the bundle of
// translations is passed in.

import type { TranslationBundle } from '@jupyterlab/translation';
import type {
  DifferenceView,
  EndpointView,
  FigureView,
  Served
} from '../api/generated.js';
import { formatMoney } from '../costs/money.js';
import { formatLatency } from '../sections/words.js';

/** What is compared, in the order it is shown. */
export const FIGURES = ['failures', 'first token', 'duration', 'cost'] as const;

const MINUS = '−';
const NONE = '–';

type Targets = Pick<EndpointView, 'targets'>;

/** The model on trial that gets a share of the requests. */
export function canaryOf({ targets }: Targets): Served | null {
  return targets.slice(1).find(target => !target.shadow) ?? null;
}

/** The model on trial that gets a copy of each request. */
export function shadowOf({ targets }: Targets): Served | null {
  return targets.slice(1).find(target => target.shadow) ?? null;
}

/** What rolling back does: the newest model on trial goes, or what stood before comes back. Null: there is neither. */
export type Back =
  | { readonly kind: 'canary' | 'shadow'; readonly model: string }
  | { readonly kind: 'before'; readonly model: string }
  | null;

export function backOf(view: Pick<EndpointView, 'targets' | 'before'>): Back {
  const number = (target: Served): number => Number(target.id.slice(1));
  const trials = view.targets.slice(1);
  if (trials.length > 0) {
    const newest = trials.reduce((a, b) => (number(b) > number(a) ? b : a));
    return { kind: newest.shadow ? 'shadow' : 'canary', model: newest.model };
  }
  return view.before === null ? null : { kind: 'before', model: view.before };
}

/** What will happen when a step is taken, for the one who is asked whether to take it. */
export function promoteText(
  view: EndpointView,
  trans: TranslationBundle
): string {
  return trans.__(
    '%1 answers all requests from now on. %2 stops once it has answered what it was sent. One can roll back.',
    canaryOf(view)?.model ?? '',
    view.targets[0].model
  );
}

export function backText(view: EndpointView, trans: TranslationBundle): string {
  const back = backOf(view);
  const stands = view.targets[0].model;
  switch (back?.kind) {
    case 'canary':
      return trans.__(
        '%1 gets no more requests, and stops once it has answered what it was sent. %2 answers all.',
        back.model,
        stands
      );
    case 'shadow':
      return trans.__(
        '%1 gets no more copies, and stops. Nobody sees a difference: %2 answers as before.',
        back.model,
        stands
      );
    case 'before':
      return trans.__(
        '%1 is started, and answers all requests once it is ready. Then %2 stops, when it has answered what it was sent.',
        back.model,
        stands
      );
    case undefined:
      return '';
  }
}

export function backWord(back: Back, trans: TranslationBundle): string {
  return back === null || back.kind === 'before'
    ? trans.__('Roll back…')
    : trans.__('Take %1 back…', back.kind === 'canary' ? 'canary' : 'shadow');
}

/** What a share comes to, told while it is chosen. */
export function shareText(
  view: EndpointView,
  percent: number,
  trans: TranslationBundle
): string {
  const trial = canaryOf(view) ?? shadowOf(view);
  return trans.__(
    '%1: %2%, %3: %4%',
    trial?.model ?? '',
    percent,
    view.targets[0].model,
    100 - percent
  );
}

/** A share as it is typed; null where it is none of 1 to 99. */
export function percentOf(text: string): number | null {
  const digits = text.trim().replace(/\s*%$/, '');
  const percent = /^\d{1,2}$/.test(digits) ? Number(digits) : 0;
  return percent >= 1 ? percent : null;
}

export function figureTitle(
  name: (typeof FIGURES)[number],
  trans: TranslationBundle
): string {
  switch (name) {
    case 'failures':
      return trans.__('Failed');
    case 'first token':
      return trans.__('First token');
    case 'duration':
      return trans.__('Whole answer');
    case 'cost':
      return trans.__('Cost a request');
  }
}

/** The same within a sentence. */
export function figureWord(
  name: (typeof FIGURES)[number],
  trans: TranslationBundle
): string {
  switch (name) {
    case 'failures':
      return trans.__('failures');
    case 'first token':
      return trans.__('time to the first token');
    case 'duration':
      return trans.__('time of the whole answer');
    case 'cost':
      return trans.__('cost of a request');
  }
}

/** A figure in its unit; of none seen, a dash. */
export function figureText(
  figure: FigureView | undefined,
  trans: TranslationBundle
): string {
  return figure === undefined || figure.value === null
    ? NONE
    : amount(figure.name, figure.value, trans);
}

/** The interval about a figure; empty where too few requests tell it, or all were the same. */
export function intervalText(
  figure: FigureView | undefined,
  trans: TranslationBundle
): string {
  return figure === undefined ||
    figure.low === null ||
    figure.high === null ||
    figure.low === figure.high
    ? ''
    : trans.__(
        '%1 to %2',
        amount(figure.name, figure.low, trans),
        amount(figure.name, figure.high, trans)
      );
}

/** A difference to what stands, with its interval. */
export function differenceText(
  item: DifferenceView,
  trans: TranslationBundle
): string {
  const signed = (value: number): string => {
    const plus = value > 0 ? '+' : '';
    return item.figure === 'failures'
      ? trans.__('%1%2 points', plus || (value < 0 ? MINUS : ''), points(value))
      : `${plus}${amount(item.figure, value, trans)}`;
  };
  if (item.low === item.high) {
    return signed(item.difference);
  }
  return trans.__(
    '%1 (%2 to %3)',
    signed(item.difference),
    signed(item.low),
    signed(item.high)
  );
}

export function chanceWord(
  item: Pick<DifferenceView, 'chance'>,
  trans: TranslationBundle
): string {
  return item.chance ? trans.__('could be chance') : trans.__('not by chance');
}

/** Shares, milliseconds, or pico-dollars, as the server counts them. */
function amount(name: string, value: number, trans: TranslationBundle): string {
  const size = Math.abs(value);
  const sign = value < 0 ? MINUS : '';
  switch (name) {
    case 'failures':
      return `${sign}${points(size)}%`;
    case 'cost':
      return `${sign}${formatMoney(BigInt(Math.round(size)))}`;
    default:
      return `${sign}${formatLatency(size, trans)}`;
  }
}

/** The size of a share in hundredths. */
function points(share: number): string {
  return (100 * Math.abs(share)).toFixed(1);
}
