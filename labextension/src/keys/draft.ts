// A new key as it is typed, and what is asked of the server for it. Pure; the bundle of translations is passed in.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { KeysCreateParams } from '../api/generated.js';
import { dollars, type Faults, names, wholeNumber } from '../pages/faults.js';

export const ROLES = ['viewer', 'developer', 'approver', 'admin'] as const;

/** How long a key may be good, as the server takes it; `never` has no end, `other` is typed. */
export const LIVES = [
  'never',
  '1d',
  '7d',
  '30d',
  '90d',
  '365d',
  'other'
] as const;

/** How long an old key goes on beside the one in its place. */
export const OVERLAPS = ['0s', '1h', '1d', '7d', '30d'] as const;

export interface Draft {
  readonly name: string;
  readonly role: (typeof ROLES)[number];
  readonly life: (typeof LIVES)[number];
  /** Where `life` is `other`. */
  readonly expires: string;
  readonly models: string;
  readonly routes: string;
  readonly requests_per_minute: string;
  readonly tokens_per_minute: string;
  readonly concurrency: string;
  readonly limit: string;
  readonly project: string;
}

export type Field = Exclude<keyof Draft, 'life'>;

/** As the server calls them. */
export const FIELDS: readonly Field[] = [
  'name',
  'role',
  'expires',
  'models',
  'routes',
  'requests_per_minute',
  'tokens_per_minute',
  'concurrency',
  'limit',
  'project'
];

export const EMPTY: Draft = {
  name: '',
  role: 'developer',
  life: 'never',
  expires: '',
  models: '',
  routes: '',
  requests_per_minute: '',
  tokens_per_minute: '',
  concurrency: '',
  limit: '',
  project: ''
};

const COUNTS = [
  'requests_per_minute',
  'tokens_per_minute',
  'concurrency'
] as const;

/** What is asked, and what is wrong with it; what was left empty has no limit. */
export function read(
  draft: Draft,
  trans: TranslationBundle
): { params: KeysCreateParams; faults: Faults<Field> } {
  const faults: Faults<Field> = {};
  const params: KeysCreateParams = {
    name: draft.name.trim(),
    role: draft.role
  };
  if (params.name === '') {
    faults.name = trans.__('Say who or what it is for.');
  }
  if (draft.life === 'other') {
    params.expires = draft.expires.trim();
    if (params.expires === '') {
      faults.expires = trans.__('Say how long, as 12h or 45d.');
    }
  } else if (draft.life !== 'never') {
    params.expires = draft.life;
  }
  for (const scope of ['models', 'routes'] as const) {
    const given = names(draft[scope]);
    if (given.length > 0) {
      params[scope] = given;
    }
  }
  for (const count of COUNTS) {
    if (draft[count].trim() !== '') {
      const value = wholeNumber(draft[count]);
      if (value === null) {
        faults[count] = trans.__('A whole number, 1 or more; empty: no limit.');
      } else {
        params[count] = value;
      }
    }
  }
  if (draft.limit.trim() !== '') {
    const value = dollars(draft.limit);
    if (value === null) {
      faults.limit = trans.__('Dollars, as 0.50 or 20; empty: no limit.');
    } else {
      params.limit = value;
    }
  }
  const project = draft.project.trim();
  if (project !== '') {
    params.project = project;
  }
  return { params, faults };
}

export function lifeWord(
  life: (typeof LIVES)[number],
  trans: TranslationBundle
): string {
  switch (life) {
    case 'never':
      return trans.__('Never');
    case '1d':
      return trans.__('In 1 day');
    case '7d':
      return trans.__('In 7 days');
    case '30d':
      return trans.__('In 30 days');
    case '90d':
      return trans.__('In 90 days');
    case '365d':
      return trans.__('In 1 year');
    case 'other':
      return trans.__('In another time…');
  }
}

export function roleWord(
  role: (typeof ROLES)[number],
  trans: TranslationBundle
): string {
  return role === 'viewer'
    ? trans.__('viewer: lists models')
    : trans.__('%1: asks them, too', role);
}

export function overlapWord(
  overlap: (typeof OVERLAPS)[number],
  trans: TranslationBundle
): string {
  switch (overlap) {
    case '0s':
      return trans.__('Not at all: it ends now');
    case '1h':
      return trans.__('1 hour');
    case '1d':
      return trans.__('1 day');
    case '7d':
      return trans.__('7 days');
    case '30d':
      return trans.__('30 days');
  }
}
