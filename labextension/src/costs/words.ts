// Requests in words. The bundle of translations is passed in.

import { PathExt } from '@jupyterlab/coreutils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CostRow, RequestView } from '../api/generated.js';
import { formatCount, formatLatency } from '../sections/words.js';
import type { By } from './totals.js';

/** Where the routes of classic models begin. */
const V2 = '/v2/';
/** How the server names the group of requests that came from no notebook. */
const NO_NOTEBOOK = '(none)';

export function byWord(by: By, trans: TranslationBundle): string {
  switch (by) {
    case 'model':
      return trans.__('Model');
    case 'notebook':
      return trans.__('Notebook');
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
  if (by !== 'notebook') {
    return group;
  }
  return group === NO_NOTEBOOK
    ? trans.__('Not from a notebook')
    : PathExt.basename(group);
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

/** What a group's requests were, in parts of a line. */
export function rowParts(row: CostRow, trans: TranslationBundle): string[] {
  const { requests, failed, unknown, input_tokens, output_tokens } = row;
  const first = row.first_token_ms;
  const speed = row.tokens_per_second;
  return [
    requestsText(requests, trans),
    failed > 0 ? failedText(failed, trans) : '',
    unknown > 0 ? unknownText(unknown, trans) : '',
    input_tokens + output_tokens > 0
      ? trans.__(
          '%1 + %2 tokens',
          formatCount(input_tokens),
          formatCount(output_tokens)
        )
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
    'route' | 'input_tokens' | 'output_tokens' | 'usage'
  >,
  trans: TranslationBundle
): string {
  const count = (tokens: number | null): string =>
    tokens === null ? '?' : formatCount(tokens);
  const { input_tokens: read, output_tokens: written, usage } = request;
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
