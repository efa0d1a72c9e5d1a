// A figure and how it went: its name, what it is now, and a small line over time that the pointer or the arrow keys read.

import React, { useState } from 'react';
import { useSection } from '../sections/context.js';
import { linePath, nearest, place, spanOf } from './scale.js';
import { useWidth } from './useWidth.js';

const HEIGHT = 48;
const EDGE = 3;

export interface Point {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Null where there is none. */
  readonly value: number | null;
}

export interface SmallChartProps {
  title: string;
  /** What it is over the whole stretch of time. */
  value: string;
  /** More about it; empty where there is nothing more to say. */
  note: string;
  /** In order of time. */
  points: readonly Point[];
  format: (value: number) => string;
  testid: string;
}

export function SmallChart(props: SmallChartProps): React.JSX.Element {
  const { title, value, note, points, format, testid } = props;
  const { trans } = useSection();
  const [frame, width] = useWidth<HTMLDivElement>();
  /** When, of the point that is read. */
  const [reading, setReading] = useState<number | null>(null);
  const times = points.map(point => point.at);
  const index = reading === null ? -1 : nearest(times, reading);
  const read = index < 0 ? null : points[index];
  const xs = times.map(at =>
    place(
      at,
      [times[0], times[times.length - 1]],
      [EDGE, Math.max(EDGE + 1, width - EDGE)]
    )
  );
  const most = spanOf(points.map(point => point.value))?.[1] ?? 0;
  const ys = points.map(point =>
    point.value === null
      ? null
      : place(point.value, [0, most > 0 ? most : 1], [HEIGHT - EDGE, EDGE])
  );
  const said =
    read === null
      ? note
      : trans.__(
          '%1: %2',
          new Date(read.at).toLocaleTimeString(undefined, {
            hour: '2-digit',
            minute: '2-digit'
          }),
          read.value === null ? '–' : format(read.value)
        );
  const onKeyDown = (event: React.KeyboardEvent): void => {
    const last = points.length - 1;
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -last, End: last }[
      event.key
    ];
    if (step === undefined || last < 0) {
      return;
    }
    const from = index < 0 ? (step > 0 ? -1 : last + 1) : index;
    setReading(times[Math.min(Math.max(from + step, 0), last)]);
    event.preventDefault();
    event.stopPropagation();
  };
  const line = linePath(xs, ys);
  return (
    <figure className="snapml-Small" data-testid={testid}>
      <figcaption>
        <span className="snapml-Small-title">{title}</span>
        <strong className="snapml-Small-value">{value}</strong>
      </figcaption>
      <div
        className="snapml-Small-field"
        ref={frame}
        tabIndex={0}
        role="group"
        aria-label={trans.__('%1: %2. Arrow keys read it.', title, value)}
        onKeyDown={onKeyDown}
        onBlur={() => setReading(null)}
      >
        {width > 0 && (
          <svg
            width={width}
            height={HEIGHT}
            aria-hidden
            onPointerMove={event => {
              const box = event.currentTarget.getBoundingClientRect();
              const found = nearest(xs, event.clientX - box.left);
              setReading(found < 0 ? null : times[found]);
            }}
            onPointerLeave={() => setReading(null)}
          >
            <line
              className="snapml-Small-ground"
              x1={0}
              x2={width}
              y1={HEIGHT - EDGE}
              y2={HEIGHT - EDGE}
            />
            {line !== '' && <path className="snapml-Small-line" d={line} />}
            {index >= 0 && (
              <line
                className="snapml-Chart-cursor"
                x1={xs[index]}
                x2={xs[index]}
                y1={0}
                y2={HEIGHT}
              />
            )}
          </svg>
        )}
      </div>
      <div
        className="snapml-Small-note"
        aria-live={read === null ? 'off' : 'polite'}
      >
        {said === '' ? ' ' : said}
      </div>
    </figure>
  );
}
