// Money as people read it. Amounts are whole pico-dollars: exact, never a float. Pure.

import type { TranslationBundle } from '@jupyterlab/translation';

const PICO_DIGITS = 12;
const DOLLAR = 10n ** BigInt(PICO_DIGITS);

/**
 * Dollars with enough digits to tell them from nothing: two after the point, or
 * two that count where there is less than a dime. Rounded as the server does.
 */
export function formatMoney(pico: bigint): string {
  const digits =
    pico === 0n || pico >= DOLLAR
      ? 2
      : Math.max(2, PICO_DIGITS + 2 - pico.toString().length);
  const rounded = roundTo(pico, Math.min(digits, PICO_DIGITS));
  const whole = (rounded / DOLLAR).toLocaleString('en-US');
  const part = (rounded % DOLLAR).toString().padStart(PICO_DIGITS, '0');
  return `$${whole}.${part.slice(0, digits)}`;
}

/** What requests cost, as far as it is known: where none of them has a known cost, that is unknown, too. */
export function formatCost(
  cost: {
    readonly pico: bigint;
    readonly requests: number;
    readonly unknown: number;
  },
  trans: TranslationBundle
): string {
  return cost.requests > 0 && cost.unknown >= cost.requests
    ? trans.__('unknown')
    : formatMoney(cost.pico);
}

/** To so many digits after the point, halves to even. */
function roundTo(pico: bigint, digits: number): bigint {
  const unit = 10n ** BigInt(PICO_DIGITS - digits);
  const below = pico - (pico % unit);
  const twice = 2n * (pico % unit);
  const up = twice > unit || (twice === unit && (below / unit) % 2n === 1n);
  return up ? below + unit : below;
}
