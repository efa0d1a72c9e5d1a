// An endpoint's figures, each with its line over time, in words. Pure; the bundle of translations is passed in.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { Broke, EndpointView, Stretch } from '../api/generated.js';
import type { Point } from '../charts/SmallChart.js';
import { formatCost, formatMoney } from '../costs/money.js';
import { formatSize } from '../runs/words.js';
import { formatCount, formatLatency } from '../sections/words.js';
import { heldBy, type Held, peakOf } from './memory.js';

export interface Figure {
  /** Its own name, in no language. */
  readonly id: string;
  readonly title: string;
  readonly value: string;
  readonly note: string;
  readonly points: readonly Point[];
  readonly format: (value: number) => string;
}

const NONE = '–';
const MIB = 1024 * 1024;
const PICO = 1e12;
const HOUR = 3600;
/** What comes more seldom in a second is counted by the minute. */
const SELDOM = 0.1;
/** A rate over less than this many seconds says nothing. */
const LEAST_SECONDS = 5;

/** The figures a page shows, those of chat only where there is chat. */
export function figuresOf(
  view: EndpointView,
  held: readonly Held[],
  trans: TranslationBundle
): Figure[] {
  const chat = view.task === 'chat';
  return [
    requests(view, trans),
    ...(chat ? [speed(view, trans), firstToken(view, trans)] : []),
    took(view, trans),
    ...(chat ? [engineCache(view, trans)] : []),
    memory(view, held, trans),
    money(view, trans),
    failures(view, trans)
  ];
}

/** A number in few digits: `0.25`, `3.4`, `120`. */
export function formatRate(value: number): string {
  const digits = value === 0 || value >= 10 ? 0 : value >= 1 ? 1 : 2;
  return value.toLocaleString(undefined, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits
  });
}

export function formatShare(share: number): string {
  return `${(100 * share).toFixed(0)}%`;
}

/** How a request went wrong; kinds this page does not know are told in the server's words. */
export function brokeWord(
  broke: Pick<Broke, 'kind' | 'words'>,
  trans: TranslationBundle
): string {
  switch (broke.kind) {
    case 'hung_up':
      return trans.__('caller hung up');
    case 'broke_off':
      return trans.__('answer broke off');
    case 'limited':
      return trans.__('over a rate limit');
    case 'budget':
      return trans.__('over a budget');
    case 'guarded':
      return trans.__('stopped by guardrails');
    case 'refused':
      return trans.__('request refused');
    case 'unavailable':
      return trans.__('engine not there');
    case 'timeout':
      return trans.__('engine too slow');
    case 'engine':
      return trans.__('engine failed');
    default:
      return broke.words;
  }
}

/** What guardrails did, told as a list in JSON: each entry's texts and numbers. What is no such list stays as it is. */
export function guardText(guard: string): string {
  let told: unknown;
  try {
    told = JSON.parse(guard);
  } catch {
    return guard;
  }
  if (!Array.isArray(told)) {
    return guard;
  }
  const words = (entry: unknown): string =>
    typeof entry === 'object' && entry !== null
      ? Object.values(entry).flatMap(flat).join(' ')
      : String(entry);
  return told.map(words).filter(Boolean).join(', ');
}

function flat(value: unknown): string[] {
  return typeof value === 'string' || typeof value === 'number'
    ? [String(value)]
    : [];
}

/** Seconds of a stretch that are inside of the window. */
export function secondsOf(
  stretch: Pick<Stretch, 'at'>,
  view: Pick<EndpointView, 'since' | 'until' | 'step'>
): number {
  const at = Date.parse(stretch.at);
  const from = Math.max(at, Date.parse(view.since));
  const to = Math.min(at + 1000 * view.step, Date.parse(view.until));
  return Math.max(0, to - from) / 1000;
}

function requests(view: EndpointView, trans: TranslationBundle): Figure {
  const { doing, open } = view;
  const format = (value: number): string =>
    value === 0 || value >= SELDOM
      ? trans.__('%1/s', formatRate(value))
      : trans.__('%1/min', formatRate(60 * value));
  const note = [
    trans._n(
      '%2 request',
      '%2 requests',
      doing.requests,
      formatCount(doing.requests)
    ),
    open > 0 ? trans.__('%1 under way', formatCount(open)) : ''
  ];
  return {
    id: 'requests',
    title: trans.__('Requests'),
    value: format(doing.per_second),
    note: note.filter(Boolean).join(' · '),
    points: rates(view, stretch => stretch.requests),
    format
  };
}

function speed(view: EndpointView, trans: TranslationBundle): Figure {
  const { doing } = view;
  const format = (value: number): string =>
    trans.__('%1 tokens/s', formatRate(value));
  return {
    id: 'tokens',
    title: trans.__('Speed of an answer'),
    value: known(doing.tokens_per_second, format),
    note:
      doing.written_tokens > 0
        ? trans.__(
            '%1 tokens written, %2/s in all',
            formatCount(doing.written_tokens),
            formatRate(doing.written_per_second)
          )
        : '',
    points: points(view, stretch => stretch.tokens_per_second),
    format
  };
}

function firstToken(view: EndpointView, trans: TranslationBundle): Figure {
  const format = (value: number): string => formatLatency(value, trans);
  const spread = view.doing.first_token_ms;
  return {
    id: 'first-token',
    title: trans.__('First token'),
    value: known(spread?.p50 ?? null, format),
    note: spread === null ? '' : trans.__('95% within %1', format(spread.p95)),
    points: points(view, stretch => stretch.first_token_ms),
    format
  };
}

function took(view: EndpointView, trans: TranslationBundle): Figure {
  const format = (value: number): string => formatLatency(value, trans);
  const spread = view.doing.duration_ms;
  return {
    id: 'duration',
    title: trans.__('Whole answer'),
    value: known(spread?.p50 ?? null, format),
    note: spread === null ? '' : trans.__('95% within %1', format(spread.p95)),
    points: points(view, stretch => stretch.duration_ms),
    format
  };
}

function engineCache(view: EndpointView, trans: TranslationBundle): Figure {
  const { doing } = view;
  const again = doing.answered_before;
  const note = [
    doing.engine_cache === null
      ? ''
      : trans.__('of %1 tokens read', formatCount(doing.read_tokens)),
    again > 0
      ? trans._n(
          '%2 answer given again',
          '%2 answers given again',
          again,
          formatCount(again)
        )
      : ''
  ];
  return {
    id: 'cache',
    title: trans.__('Cache hits'),
    value: known(doing.engine_cache, formatShare),
    note: note.filter(Boolean).join(' · '),
    points: points(view, stretch => stretch.engine_cache),
    format: formatShare
  };
}

function memory(
  view: EndpointView,
  held: readonly Held[],
  trans: TranslationBundle
): Figure {
  const format = (mib: number): string => formatSize(mib * MIB);
  const now = heldBy(view);
  const peak = peakOf(view);
  const note = [
    peak === null ? '' : trans.__('at most %1', format(peak)),
    now.gpu === null ? '' : trans.__('%1 of GPUs', format(now.gpu))
  ];
  return {
    id: 'memory',
    title: trans.__('Memory'),
    value: known(now.memory, format),
    note: note.filter(Boolean).join(' · '),
    points: held.map(({ at, memory: mib }) => ({ at, value: mib })),
    format
  };
}

function money(view: EndpointView, trans: TranslationBundle): Figure {
  const { doing } = view;
  const seconds = (Date.parse(view.until) - Date.parse(view.since)) / 1000;
  const pico = BigInt(doing.cost_pico);
  const hourly =
    (pico * BigInt(HOUR * 1000)) /
    BigInt(Math.max(1, Math.round(seconds * 1000)));
  const all = formatCost(
    {
      pico: BigInt(view.spent_pico),
      requests: view.spent_requests,
      unknown: view.spent_unknown
    },
    trans
  );
  const cost = {
    pico: hourly,
    requests: doing.requests,
    unknown: doing.unknown
  };
  const amount = formatCost(cost, trans);
  const none = doing.requests > 0 && doing.unknown >= doing.requests;
  const note = [
    trans.__('%1 in all', all),
    view.spent_unknown > 0
      ? trans.__('%1 of unknown cost', formatCount(view.spent_unknown))
      : ''
  ];
  return {
    id: 'money',
    title: trans.__('Money'),
    value: none ? amount : trans.__('%1/h', amount),
    note: note.filter(Boolean).join(' · '),
    points: rates(view, stretch =>
      stretch.requests > 0 && stretch.unknown >= stretch.requests
        ? null
        : (HOUR * Number(stretch.cost_pico)) / PICO
    ),
    format: dollars =>
      trans.__('%1/h', formatMoney(BigInt(Math.round(dollars * PICO))))
  };
}

function failures(view: EndpointView, trans: TranslationBundle): Figure {
  const broke = view.doing.failures;
  const many = broke.reduce((sum, item) => sum + item.requests, 0);
  return {
    id: 'failures',
    title: trans.__('Went wrong'),
    value: formatCount(many),
    note: broke
      .map(item =>
        trans.__('%1 × %2', formatCount(item.requests), brokeWord(item, trans))
      )
      .join(', '),
    points: points(view, stretch => stretch.failed),
    format: value => formatCount(value)
  };
}

function known(
  value: number | null,
  format: (value: number) => string
): string {
  return value === null ? NONE : format(value);
}

function points(
  view: EndpointView,
  value: (stretch: Stretch) => number | null
): Point[] {
  return view.series.map(stretch => ({
    at: Date.parse(stretch.at),
    value: value(stretch)
  }));
}

/** Counts as rates a second: a stretch that is seen in part counts by its seconds. */
function rates(
  view: EndpointView,
  count: (stretch: Stretch) => number | null
): Point[] {
  return view.series.map(stretch => {
    const seconds = secondsOf(stretch, view);
    const many = count(stretch);
    return {
      at: Date.parse(stretch.at),
      value: many === null || seconds < LEAST_SECONDS ? null : many / seconds
    };
  });
}
