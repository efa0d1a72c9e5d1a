// A translation for tests: none.

import type { TranslationBundle } from '@jupyterlab/translation';

const fill = (text: string, values: readonly unknown[]): string =>
  text.replace(/%(\d)/g, (_, n: string) => String(values[Number(n) - 1]));

export const trans = {
  __: (text: string, ...values: unknown[]) => fill(text, values),
  _n: (one: string, many: string, n: number, ...values: unknown[]) =>
    fill(n === 1 ? one : many, [n, ...values])
} as unknown as TranslationBundle;
