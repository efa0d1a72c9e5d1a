// Each group with a bar; the text beside says all that the bar shows.

import React from 'react';
import type { Costs } from '../api/generated.js';
import { useSection } from '../sections/context.js';
import { formatCost } from './money.js';
import { type Bar, bars, measure } from './totals.js';
import { groupName, rowParts } from './words.js';

/** Groups drawn; the rest is counted. */
const MOST = 50;

export function CostRows({ costs }: { costs: Costs }): React.JSX.Element {
  const { rows, by } = costs;
  const { trans } = useSection();
  const drawn = bars(rows, by);
  return (
    <>
      <ul
        className="snapml-Bars"
        role="list"
        aria-label={
          measure(rows) === 'cost'
            ? trans.__('Costs')
            : trans.__('Requests of unknown cost')
        }
      >
        {drawn.slice(0, MOST).map(bar => (
          <CostRowItem key={bar.row.group} bar={bar} by={by} />
        ))}
      </ul>
      {drawn.length > MOST && (
        <p className="snapml-Quiet">
          {trans.__('The first %1 of %2.', MOST, drawn.length)}
        </p>
      )}
    </>
  );
}

function CostRowItem(props: { bar: Bar; by: string }): React.JSX.Element {
  const { row, length } = props.bar;
  const { trans } = useSection();
  const name = groupName(row.group, props.by, trans);
  const { requests, unknown } = row;
  const pico = BigInt(row.cost_pico);
  const cost = formatCost({ pico, requests, unknown }, trans);
  return (
    <li
      className="snapml-Bars-item"
      role="listitem"
      data-testid="snapml-cost-row"
      data-group={row.group}
    >
      <div className="snapml-Row-head">
        <span className="snapml-Row-name" dir="auto" title={row.group}>
          {name}
        </span>
        <span className="snapml-Bars-cost">{cost}</span>
      </div>
      <div className="snapml-Bar" aria-hidden>
        <div
          className="snapml-Bar-fill"
          style={{ width: `${100 * length}%` }}
        />
      </div>
      <div className="snapml-Row-message">
        {rowParts(row, trans).join(' · ')}
      </div>
    </li>
  );
}
