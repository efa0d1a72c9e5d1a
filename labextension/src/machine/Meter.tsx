// How much of something is used and how much is leased, drawn as a bar; the words beside it say the same.

import React from 'react';
import { share } from './words.js';

export interface MeterProps {
  /** What it measures. */
  label: string;
  total: number;
  leased: number;
  /** Null where nobody knows. */
  used: number | null;
  /** The figures in words. */
  words: string;
}

export function Meter(props: MeterProps): React.JSX.Element {
  const { label, total, leased, used, words } = props;
  return (
    <div
      className="snapml-Meter"
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={total}
      aria-valuenow={Math.min(total, Math.max(0, used ?? leased))}
      aria-valuetext={words}
    >
      <Layers total={total} leased={leased} used={used} />
    </div>
  );
}

/** The bar alone, for figures that are told beside it. */
export function Layers(props: {
  total: number;
  leased: number;
  used: number | null;
}): React.JSX.Element {
  const { total, leased, used } = props;
  return (
    <div className="snapml-Layers" aria-hidden>
      <div
        className="snapml-Layers-leased"
        style={{ width: `${share(leased, total)}%` }}
      />
      {used !== null && (
        <div
          className="snapml-Layers-used"
          style={{ width: `${share(used, total)}%` }}
        />
      )}
    </div>
  );
}

/** A word with the colour it has in the bar. */
export function Key(props: {
  of: 'used' | 'leased';
  children: React.ReactNode;
}): React.JSX.Element {
  return (
    <span className="snapml-Key">
      <span className={`snapml-Key-swatch snapml-is-${props.of}`} aria-hidden />
      {props.children}
    </span>
  );
}
