// Costs by day, drawn in the theme's colours. What a column holds is told beside its day, to the pointer and to the keys.

import React, { useState } from 'react';
import type { BudgetLine, Costs } from '../api/generated.js';
import { formatNumber, place, type Span, ticks } from '../charts/scale.js';
import { useWidth } from '../charts/useWidth.js';
import { useSection } from '../sections/context.js';
import { apart, type Column, layOut } from './days.js';
import { formatMoney } from './money.js';

const HEIGHT = 220;
const LEFT = 56;
const RIGHT = 10;
const TOP = 14;
const BOTTOM = 22;
/** Pixels between two columns, and of the narrowest. */
const GAP = 2;
const THINNEST = 1;
/** Pixels a day's name takes. */
const NAME = 48;
/** Pixels a line's words stand above it, and from those of another. */
const ABOVE = 4;
const LINE = 13;
/** Pixels from which on there is room for a budget's limit a day, too. */
const WIDE = 420;
/** Letters of a budget's name that there is room for. */
const LETTERS = 24;

export function DayChart({ costs }: { costs: Costs }): React.JSX.Element {
  const { trans } = useSection();
  const [frame, width] = useWidth<HTMLDivElement>();
  const [at, setAt] = useState<number | null>(null);
  const { columns, lines, top } = layOut(costs);
  const right = Math.max(LEFT + 20, width - RIGHT);
  const heights: Span = [0, top];
  const down: Span = [HEIGHT - BOTTOM, TOP];
  const step = (right - LEFT) / Math.max(columns.length, 1);
  const thick = Math.max(step - GAP, THINNEST);
  const y = (value: number): number => place(value, heights, down);
  const shown = at === null ? null : (columns.at(at) ?? null);
  const move = (event: React.KeyboardEvent): void => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by !== undefined) {
      const from = at ?? (by > 0 ? -1 : columns.length);
      setAt(Math.min(Math.max(from + by, 0), columns.length - 1));
      event.preventDefault();
      event.stopPropagation();
    }
  };
  const each = Math.max(1, Math.ceil(NAME / step));
  const words = apart(
    lines.map(({ value }) => y(value) - ABOVE),
    LINE
  );
  return (
    <div className="snapml-Days" ref={frame}>
      {width > 0 && (
        <div
          className="snapml-Chart-field"
          tabIndex={0}
          role="group"
          aria-label={trans.__('Costs by day. Arrow keys read it.')}
          data-testid="snapml-cost-days"
          onKeyDown={move}
          onBlur={() => setAt(null)}
        >
          <svg
            width={width}
            height={HEIGHT}
            aria-hidden
            onPointerMove={event => {
              const box = event.currentTarget.getBoundingClientRect();
              const index = Math.floor(
                (event.clientX - box.left - LEFT) / step
              );
              setAt(index >= 0 && index < columns.length ? index : null);
            }}
            onPointerLeave={() => setAt(null)}
          >
            {ticks(heights, 4).map(value => (
              <g key={value} className="snapml-Chart-tick">
                <line x1={LEFT} x2={right} y1={y(value)} y2={y(value)} />
                <text x={LEFT - 6} y={y(value) + 3.5} textAnchor="end">
                  ${formatNumber(value)}
                </text>
              </g>
            ))}
            {columns.map((column, index) => {
              const x = LEFT + step * index + (step - thick) / 2;
              const { requests, jobs } = column;
              return (
                <g
                  key={column.day}
                  className={
                    column.expected
                      ? 'snapml-Days-column snapml-is-expected'
                      : 'snapml-Days-column'
                  }
                  data-at={at === index}
                >
                  <rect
                    className="snapml-Days-requests"
                    x={x}
                    y={y(requests)}
                    width={thick}
                    height={y(0) - y(requests)}
                  />
                  <rect
                    className="snapml-Days-jobs"
                    x={x}
                    y={y(requests + jobs)}
                    width={thick}
                    height={y(requests) - y(requests + jobs)}
                  />
                  {index % each === 0 && x + NAME - GAP < right && (
                    <text
                      className="snapml-Chart-step"
                      x={x + thick / 2}
                      y={HEIGHT - 6}
                      textAnchor="middle"
                    >
                      {column.day.slice(5)}
                    </text>
                  )}
                </g>
              );
            })}
            {lines.map(({ name, budget, value }, index) => (
              <g key={name} className="snapml-Days-line">
                <line x1={LEFT} x2={right} y1={y(value)} y2={y(value)} />
                <text x={right} y={words[index]} textAnchor="end">
                  {acrossText(name, budget, width >= WIDE)}
                </text>
              </g>
            ))}
          </svg>
        </div>
      )}
      <div className="snapml-Days-legend" role="status">
        {shown === null ? (
          <Legend
            jobs={columns.some(({ jobs }) => jobs > 0)}
            expected={columns.some(({ expected }) => expected)}
          />
        ) : (
          <Shown column={shown} />
        )}
      </div>
    </div>
  );
}

/** A budget in the chart: its limit, and what that is a day where its period is another. */
function acrossText(name: string, budget: BudgetLine, wide: boolean): string {
  const { period, limit_pico, daily_pico } = budget;
  const short = name.length > LETTERS ? `${name.slice(0, LETTERS)}…` : name;
  const limit = `${short}: ${formatMoney(BigInt(limit_pico))} / ${period}`;
  return !wide || period === 'day' || daily_pico === null
    ? limit
    : `${limit} = ${formatMoney(BigInt(daily_pico))} / day`;
}

function Legend(props: {
  jobs: boolean;
  expected: boolean;
}): React.JSX.Element {
  const { trans } = useSection();
  return (
    <>
      <Key kind="requests">{trans.__('Requests')}</Key>
      {props.jobs && <Key kind="jobs">{trans.__('Jobs')}</Key>}
      {props.expected && (
        <Key kind="expected">{trans.__('Expected a day')}</Key>
      )}
    </>
  );
}

function Key(props: {
  kind: string;
  children: React.ReactNode;
}): React.JSX.Element {
  return (
    <span className="snapml-Days-key">
      <span className={`snapml-Days-swatch snapml-is-${props.kind}`} />
      {props.children}
    </span>
  );
}

function Shown({ column }: { column: Column }): React.JSX.Element {
  const { trans } = useSection();
  const { day, requests, jobs, expected } = column;
  const amount = (dollars: number): string =>
    formatMoney(BigInt(Math.round(dollars * 1e12)));
  return (
    <>
      <strong>{day}</strong>
      {expected ? (
        <span>{trans.__('%1 expected', amount(requests))}</span>
      ) : (
        <>
          <Key kind="requests">{amount(requests)}</Key>
          {jobs > 0 && <Key kind="jobs">{amount(jobs)}</Key>}
        </>
      )}
    </>
  );
}
