// Requests in words. The bundle of translations is passed in.

import { PathExt } from '@jupyterlab/coreutils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CostRow, RequestView } from '../api/generated.js';
import { formatCount, formatLatency } from '../sections/words.js';
import { type By, readTokens, writtenTokens } from './totals.js';

/** Where the routes of classic models begin. */
const V2 = '/v2/';
/** How the server names the group of requests that came from nowhere it knows of. */
const NOWHERE = '(none)';

export function byWord(by: By, trans: TranslationBundle): string {
  switch (by) {
    case 'model':
      return trans.__('Model');
    case 'deployment':
      return trans.__('Deployment');
    case 'notebook':
      return trans.__('Notebook');
    case 'cell':
      return trans.__('Cell');
    case 'project':
      return trans.__('Project');
    case 'key':
      return trans.__('Key');
    case 'day':
      return trans.__('Day');
  }
}

export function groupName(
  group: string,
  by: string,
  trans: TranslationBundle
): string {
  if (group === NOWHERE) {
    switch (by) {
      case 'notebook':
        return trans.__('Not from a notebook');
      case 'cell':
        return trans.__('Not from a cell');
      case 'project':
        return trans.__('Of no project');
    }
  }
  return by === 'notebook' || by === 'cell' ? PathExt.basename(group) : group;
}

export function requestsText(count: number, trans: TranslationBundle): string {
  return trans._n('%1 request', '%1 requests', count);
}

export function failedText(count: number, trans: TranslationBundle): string {
  return trans.__('%1 failed', formatCount(count));
}

/** A cost that is not known is named, never counted as nothing. */
export function unknownText(count: number, trans: TranslationBundle): string {
  return trans.__('%1 of unknown cost', formatCount(count));
}

export function hitsText(count: number, trans: TranslationBundle): string {
  return trans.__('%1 from the cache', formatCount(count));
}

export function formatShare(share: number): string {
  const percent = 100 * share;
  return `${percent > 0 && percent < 10 ? percent.toFixed(1) : percent.toFixed(0)}%`;
}

/** What a group's requests were, in parts of a line. */
export function rowParts(row: CostRow, trans: TranslationBundle): string[] {
  const { requests, failed, unknown, hits, cached_share: share } = row;
  const [read, written] = [readTokens(row), writtenTokens(row)];
  const first = row.first_token_ms;
  const speed = row.tokens_per_second;
  return [
    requestsText(requests, trans),
    failed > 0 ? failedText(failed, trans) : '',
    unknown > 0 ? unknownText(unknown, trans) : '',
    hits > 0 ? hitsText(hits, trans) : '',
    read + written > 0
      ? trans.__('%1 + %2 tokens', formatCount(read), formatCount(written))
      : '',
    share !== null && row.cached_tokens > 0
      ? trans.__('%1 cached', formatShare(share))
      : '',
    first === null
      ? ''
      : trans.__('first token after %1', formatLatency(first, trans)),
    speed === null
      ? ''
      : trans.__('%1 tokens/s', speed.toFixed(speed < 10 ? 1 : 0))
  ].filter(Boolean);
}

export function endedWord(
  request: Pick<RequestView, 'ended' | 'status'>,
  trans: TranslationBundle
): string {
  switch (request.ended) {
    case 'complete':
      return trans.__('Complete');
    case 'hung_up':
      return trans.__('Caller hung up');
    case 'failed':
      return request.status >= 400
        ? trans.__('Failed (%1)', request.status)
        : trans.__('Failed');
    default:
      return request.ended;
  }
}

/** What one request used, and how that is known; empty for a classic model, which has no tokens. */
export function usageText(
  request: Pick<
    RequestView,
    | 'route'
    | 'input_tokens'
    | 'cached_tokens'
    | 'cache_write_tokens'
    | 'output_tokens'
    | 'reasoning_tokens'
    | 'usage'
    | 'hit'
  >,
  trans: TranslationBundle
): string {
  const count = (tokens: number | null): string =>
    tokens === null ? '?' : formatCount(tokens);
  const { usage } = request;
  const read = sum(
    request.input_tokens,
    request.cached_tokens,
    request.cache_write_tokens
  );
  const written = sum(request.output_tokens, request.reasoning_tokens);
  if (request.hit) {
    return trans.__('from the cache');
  }
  if (read === null && written === null) {
    return request.route.startsWith(V2) ? '' : trans.__('tokens unknown');
  }
  const how =
    usage === 'metered'
      ? trans.__('metered')
      : usage === 'estimated'
        ? trans.__('estimated')
        : trans.__('unknown');
  return trans.__('%1 + %2 tokens, %3', count(read), count(written), how);
}

/** All of it; unknown where the first is, which holds what is not told apart. */
function sum(first: number | null, ...more: (number | null)[]): number | null {
  return first === null
    ? null
    : more.reduce<number>((total, count) => total + (count ?? 0), first);
}
