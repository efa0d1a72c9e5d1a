// A budget as it is typed, and what is asked of the server for it. Pure; the bundle of translations is passed in.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { BudgetLine, BudgetsSetParams } from '../api/generated.js';
import { dollars, type Faults } from '../pages/faults.js';

export const PERIODS = ['day', 'week', 'month', 'total'] as const;
/** What a budget may be for; empty: all. */
export const KINDS = ['', 'model', 'key', 'notebook', 'project'] as const;

export interface BudgetDraft {
  readonly name: string;
  readonly dollars: string;
  readonly period: (typeof PERIODS)[number];
  readonly kind: (typeof KINDS)[number];
  readonly subject: string;
}

export type BudgetField =
  'name' | 'dollars' | 'period' | Exclude<BudgetDraft['kind'], ''>;

/** As the server calls them. */
export const FIELDS: readonly BudgetField[] = [
  'name',
  'dollars',
  'period',
  'model',
  'key',
  'notebook',
  'project'
];

const DIGITS = 12;

/** The draft that changes a budget, or that of a new one on a page. */
export function draftOf(
  known: BudgetLine | null,
  deployment: string | null
): BudgetDraft {
  return known === null
    ? {
        name: '',
        dollars: '',
        period: 'month',
        kind: deployment === null ? '' : 'model',
        subject: deployment ?? ''
      }
    : {
        name: known.name,
        dollars: plain(BigInt(known.limit_pico)),
        period: PERIODS.find(each => each === known.period) ?? 'total',
        kind: KINDS.find(each => each === known.kind) ?? '',
        subject: known.subject
      };
}

export function readBudget(
  draft: BudgetDraft,
  trans: TranslationBundle
): { params: BudgetsSetParams; faults: Faults<BudgetField> } {
  const faults: Faults<BudgetField> = {};
  const name = draft.name.trim();
  if (name === '') {
    faults.name = trans.__('Give it a name.');
  }
  const amount = dollars(draft.dollars);
  if (amount === null) {
    faults.dollars = trans.__('Dollars, as 0.50 or 20.');
  }
  const params: BudgetsSetParams = {
    name,
    dollars: amount ?? '',
    period: draft.period
  };
  if (draft.kind !== '') {
    const subject = draft.subject.trim();
    params[draft.kind] = subject;
    if (subject === '') {
      faults[draft.kind] = trans.__('Say which.');
    }
  }
  return { params, faults };
}

export function periodChoice(
  period: (typeof PERIODS)[number],
  trans: TranslationBundle
): string {
  switch (period) {
    case 'day':
      return trans.__('each day');
    case 'week':
      return trans.__('each week, from Monday');
    case 'month':
      return trans.__('each month');
    case 'total':
      return trans.__('in all');
  }
}

export function kindWord(
  kind: (typeof KINDS)[number],
  trans: TranslationBundle
): string {
  switch (kind) {
    case '':
      return trans.__('all requests');
    case 'model':
      return trans.__('requests to one endpoint or model');
    case 'key':
      return trans.__('requests with one key');
    case 'notebook':
      return trans.__('requests of one notebook');
    case 'project':
      return trans.__('requests of one project');
  }
}

export function subjectLabel(
  kind: Exclude<BudgetDraft['kind'], ''>,
  trans: TranslationBundle
): string {
  switch (kind) {
    case 'model':
      return trans.__('Endpoint or model');
    case 'key':
      return trans.__('Name of the key');
    case 'notebook':
      return trans.__('Path of the notebook');
    case 'project':
      return trans.__('Project');
  }
}

/** Pico-dollars as dollars to type, exactly: `20`, `0.5`. */
function plain(pico: bigint): string {
  const digits = pico.toString().padStart(DIGITS + 1, '0');
  const part = digits.slice(-DIGITS).replace(/0+$/, '');
  return digits.slice(0, -DIGITS) + (part === '' ? '' : `.${part}`);
}
