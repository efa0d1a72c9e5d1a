// A group of requests and a budget, for tests.

import type { BudgetLine, CostRow } from '../api/generated.js';

export function row(group: string, changes: Partial<CostRow> = {}): CostRow {
  return {
    group,
    requests: 1,
    failed: 0,
    hits: 0,
    input_tokens: 10,
    cached_tokens: 0,
    cache_write_tokens: 0,
    output_tokens: 5,
    reasoning_tokens: 0,
    cached_share: 0,
    machine_seconds: 0,
    cost_pico: '0',
    unknown: 0,
    first_token_ms: null,
    tokens_per_second: null,
    notebook: null,
    cell_id: null,
    ...changes
  };
}

export function budget(changes: Partial<BudgetLine> = {}): BudgetLine {
  return {
    name: 'team',
    period: 'month',
    scope: '',
    kind: '',
    subject: '',
    ends_at: null,
    limit_pico: '0',
    spent_pico: '0',
    reserved_pico: '0',
    daily_pico: null,
    ...changes
  };
}
