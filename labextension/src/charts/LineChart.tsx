// Lines over steps, drawn by us in the theme's colours: extremes as a band, values at the pointer, a stretch of steps
// chosen by dragging. All of it by keys, too: arrows move along the steps, Shift with them chooses, Enter goes there,
// Escape comes back.

import React, { memo, useId, useState } from 'react';
import type { CurveView } from '../api/generated.js';
import { useSection } from '../sections/context.js';
import { MOST_HUES, strokeOf } from './hues.js';
import {
  bandPath,
  formatNumber,
  linePath,
  nearest,
  place,
  roomy,
  type Span,
  spanOf,
  ticks
} from './scale.js';
import { useWidth } from './useWidth.js';

const HEIGHT = 200;
const LEFT = 52;
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 22;
/** Bands of more lines cover each other. */
const MOST_BANDS = 4;
/** Lines named below. */
const MOST_NAMED = 12;
/** Pixels a pointer moves before it is a drag. */
const DRAG = 4;

export interface LineChartProps {
  /** What is drawn: a metric's name. */
  title: string;
  curves: readonly CurveView[];
  /** The number of each curve's colour. */
  hues: readonly number[];
  /** The stretch of steps that was chosen; null where all are shown. */
  range: Span | null;
  onRange: (range: Span | null) => void;
  /** Id of the run that stands out; null where none does. */
  active?: string | null;
}

export function LineChart(props: LineChartProps): React.JSX.Element {
  const { title, curves, hues, range, onRange, active = null } = props;
  const { trans } = useSection();
  const [frame, width] = useWidth<HTMLDivElement>();
  const clip = useId();
  /** A step under the pointer, or that the keys went to. */
  const [at, setAt] = useState<number | null>(null);
  const [from, setFrom] = useState<number | null>(null);

  const across: Span = [LEFT, Math.max(LEFT + 20, width - RIGHT)];
  const down: Span = [HEIGHT - BOTTOM, TOP];
  const steps: Span = range ??
    spanOf(...curves.map(curve => curve.steps)) ?? [0, 1];
  const banded = curves.length <= MOST_BANDS;
  const heights = roomy(spanOfAll(curves, banded));
  const [first, last] = steps;
  const right = across[1];

  const stepAt = (event: React.PointerEvent): number => {
    const box = event.currentTarget.getBoundingClientRect();
    const x = Math.min(Math.max(event.clientX - box.left, LEFT), right);
    return place(x, across, steps);
  };
  const x = (step: number): number => place(step, steps, across);
  const choose = (a: number, b: number): void => {
    const [start, stop] = [Math.min(a, b), Math.max(a, b)];
    if (x(stop) - x(start) >= DRAG) {
      onRange([Math.floor(start), Math.ceil(stop)]);
    }
  };
  const onKeyDown = (event: React.KeyboardEvent): void => {
    const move = (forward: number): void => {
      const longest = curves.reduce<readonly number[]>(
        (list, curve) =>
          curve.steps.length > list.length ? curve.steps : list,
        []
      );
      const index = at === null ? -1 : nearest(longest, at);
      const next = Math.min(Math.max(index + forward, 0), longest.length - 1);
      setFrom(event.shiftKey ? (from ?? at ?? longest[next]) : null);
      setAt(longest[next] ?? null);
    };
    switch (event.key) {
      case 'ArrowLeft':
        move(-1);
        break;
      case 'ArrowRight':
        move(1);
        break;
      case 'PageUp':
        move(-20);
        break;
      case 'PageDown':
        move(20);
        break;
      case 'Enter':
        if (from !== null && at !== null) {
          choose(from, at);
          setFrom(null);
        }
        break;
      case 'Escape':
        setFrom(null);
        onRange(null);
        break;
      default:
        return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  const read = (curve: CurveView): string => {
    const index =
      at === null ? curve.values.length - 1 : nearest(curve.steps, at);
    return formatNumber(curve.values[index] ?? null);
  };
  return (
    <div className="snapml-Chart" ref={frame}>
      {width > 0 && (
        <div
          className="snapml-Chart-field"
          tabIndex={0}
          role="group"
          aria-label={trans.__(
            '%1 over steps %2 to %3. Arrow keys read it, Shift with them and Enter go into a stretch, Escape shows all.',
            title,
            formatNumber(first),
            formatNumber(last)
          )}
          data-testid="snapml-chart"
          data-metric={title}
          onKeyDown={onKeyDown}
          onBlur={() => {
            setAt(null);
            setFrom(null);
          }}
        >
          <svg
            width={width}
            height={HEIGHT}
            aria-hidden
            onPointerDown={event => {
              if (event.button === 0) {
                event.currentTarget.setPointerCapture(event.pointerId);
                setFrom(stepAt(event));
              }
            }}
            onPointerMove={event => setAt(stepAt(event))}
            onPointerUp={event => {
              if (from !== null) {
                choose(from, stepAt(event));
                setFrom(null);
              }
            }}
            onPointerLeave={() => from === null && setAt(null)}
            onDoubleClick={() => onRange(null)}
          >
            <clipPath id={clip}>
              <rect
                x={LEFT - 2}
                y={0}
                width={right - LEFT + 4}
                height={HEIGHT - BOTTOM + 2}
              />
            </clipPath>
            {ticks(heights, 4).map(value => (
              <g key={value} className="snapml-Chart-tick">
                <line
                  x1={LEFT}
                  x2={right}
                  y1={place(value, heights, down)}
                  y2={place(value, heights, down)}
                />
                <text
                  x={LEFT - 6}
                  y={place(value, heights, down) + 3.5}
                  textAnchor="end"
                >
                  {formatNumber(value)}
                </text>
              </g>
            ))}
            {ticks(steps, Math.max(2, Math.floor(width / 90)), true).map(
              step => (
                <text
                  key={step}
                  className="snapml-Chart-step"
                  x={x(step)}
                  y={HEIGHT - 6}
                  textAnchor={
                    x(step) > right - 20
                      ? 'end'
                      : x(step) < LEFT + 14
                        ? 'start'
                        : 'middle'
                  }
                >
                  {formatNumber(step)}
                </text>
              )
            )}
            <g clipPath={`url(#${clip})`}>
              <Lines
                curves={curves}
                hues={hues}
                banded={banded}
                first={first}
                last={last}
                right={right}
                low={heights[0]}
                high={heights[1]}
                active={active}
              />
            </g>
            {from !== null && at !== null && (
              <rect
                className="snapml-Chart-chosen"
                x={Math.min(x(from), x(at))}
                y={TOP}
                width={Math.abs(x(at) - x(from))}
                height={HEIGHT - BOTTOM - TOP}
              />
            )}
            {at !== null && (
              <line
                className="snapml-Chart-cursor"
                x1={x(at)}
                x2={x(at)}
                y1={TOP}
                y2={HEIGHT - BOTTOM}
              />
            )}
          </svg>
        </div>
      )}
      <div className="snapml-Chart-legend">
        <span className="snapml-Chart-where">
          {at === null
            ? trans.__('last')
            : trans.__('step %1', formatNumber(Math.round(at)))}
        </span>
        {curves.slice(0, MOST_NAMED).map((curve, index) => (
          <span
            key={curve.run}
            className="snapml-Chart-name"
            data-dim={active !== null && active !== curve.run}
          >
            <Swatch hue={hues[index]} of={hues.length} />
            {curves.length > 1 && (
              <span className="snapml-Chart-run" dir="auto" title={curve.name}>
                {curve.name}
              </span>
            )}
            <span className="snapml-Chart-value">{read(curve)}</span>
          </span>
        ))}
        {curves.length > MOST_NAMED && (
          <span>{trans.__('and %1 more', curves.length - MOST_NAMED)}</span>
        )}
      </div>
    </div>
  );
}

function spanOfAll(curves: readonly CurveView[], banded: boolean): Span {
  const lists = curves.flatMap(curve =>
    banded ? [curve.values, curve.low, curve.high] : [curve.values]
  );
  return spanOf(...lists) ?? [0, 1];
}

/** The lines alone: a pointer that moves does not draw them again. */
const Lines = memo(function Lines(props: {
  curves: readonly CurveView[];
  hues: readonly number[];
  banded: boolean;
  first: number;
  last: number;
  right: number;
  low: number;
  high: number;
  active: string | null;
}): React.JSX.Element {
  const { curves, hues, banded, first, last, right, low, high, active } = props;
  const drawn = curves.map((curve, index) => {
    const x = curve.steps.map(step =>
      place(step, [first, last], [LEFT, right])
    );
    const y = (list: readonly (number | null)[]): (number | null)[] =>
      list.map(value =>
        value === null
          ? null
          : place(value, [low, high], [HEIGHT - BOTTOM, TOP])
      );
    const spread = curve.low.some((least, i) => least !== curve.high[i]);
    return {
      run: curve.run,
      hue: hueOf(hues, index),
      line: linePath(x, y(curve.values)),
      band: banded && spread ? bandPath(x, y(curve.low), y(curve.high)) : ''
    };
  });
  // What stands out is drawn last, above the others.
  drawn.sort((a, b) => Number(a.run === active) - Number(b.run === active));
  return (
    <>
      {drawn.map(
        ({ run, hue, band }) =>
          band !== '' && (
            <path
              key={run}
              className="snapml-Chart-band"
              d={band}
              style={{ fill: hue.stroke }}
            />
          )
      )}
      {drawn.map(({ run, hue, line }) => (
        <path
          key={run}
          className="snapml-Chart-line"
          data-run={run}
          data-dim={active !== null && active !== run}
          data-active={active === run}
          d={line}
          style={hue}
        />
      ))}
    </>
  );
});

function hueOf(
  hues: readonly number[],
  index: number
): ReturnType<typeof strokeOf> {
  return hues.length > MOST_HUES
    ? { ...strokeOf(0), strokeDasharray: undefined }
    : strokeOf(hues[index]);
}

/** How a run's lines look; nothing where there are too many to tell them apart. */
export function Swatch(props: {
  hue: number;
  /** How many runs there are. */
  of: number;
}): React.JSX.Element | null {
  return props.of > MOST_HUES ? null : (
    <svg className="snapml-Swatch" width={16} height={8} aria-hidden>
      <line x1={1} x2={15} y1={4} y2={4} style={strokeOf(props.hue)} />
    </svg>
  );
}
