// How much of a limit is spent and how much held, as a bar; the words below it say the same.

import React from 'react';
import { Key, Meter } from '../machine/Meter.js';
import { useSection } from '../sections/context.js';
import { levelOf, levelWord, shareOf, type Use, usedTexts } from './spent.js';

export function SpentBar(props: {
  /** What it measures. */
  label: string;
  use: Use;
}): React.JSX.Element {
  const { label, use } = props;
  const { trans } = useSection();
  const [spent, ...rest] = usedTexts(use, trans);
  const level = levelOf(use);
  const left = rest.at(-1) ?? '';
  const held = rest.length > 1 ? rest[0] : null;
  const warning = levelWord(use, trans);
  return (
    <div className="snapml-Spent" data-level={level} data-testid="snapml-spent">
      <Meter
        label={label}
        total={1}
        leased={shareOf(use.spent + use.held, use.limit)}
        used={shareOf(use.spent, use.limit)}
        words={[spent, ...rest, warning].filter(Boolean).join(', ')}
      />
      <div className="snapml-Gauge-words">
        <Key of="used">{spent}</Key>
        {held !== null && <Key of="leased">{held}</Key>}
        <span>{left}</span>
        {warning !== '' && (
          <strong className="snapml-Spent-warning">{warning}</strong>
        )}
      </div>
    </div>
  );
}
