// Runs as lines over axes of what differs between them; the one under the pointer stands out.

import React from 'react';
import { useSection } from '../sections/context.js';
import { MOST_HUES, strokeOf } from './hues.js';
import type { Axis } from './parallel.js';
import { linePath } from './scale.js';
import { useWidth } from './useWidth.js';

const HEIGHT = 260;
const TOP = 44;
const BOTTOM = 16;
/** Pixels an axis takes at least. */
const ROOM = 112;
const SIDE = 64;
/** Characters of a label. */
const LONGEST = 15;

export interface ParallelChartProps {
  axes: readonly Axis[];
  runs: readonly { readonly id: string; readonly name: string }[];
  active: string | null;
  onActive: (run: string | null) => void;
}

export function ParallelChart(props: ParallelChartProps): React.JSX.Element {
  const { axes, runs, active, onActive } = props;
  const { trans } = useSection();
  const [frame, width] = useWidth<HTMLDivElement>();
  const all = Math.max(width, 2 * SIDE + ROOM * (axes.length - 1));
  const x = (index: number): number =>
    SIDE + ((all - 2 * SIDE) * index) / Math.max(1, axes.length - 1);
  const y = (at: number): number =>
    HEIGHT - BOTTOM - at * (HEIGHT - TOP - BOTTOM);
  const xs = axes.map((_, index) => x(index));
  const lines = runs.map((run, index) => ({
    run,
    hue: runs.length > MOST_HUES ? 0 : index,
    path: linePath(
      xs,
      axes.map(({ places }) => {
        const at = places[index];
        return at === null ? null : y(at);
      })
    )
  }));
  // What stands out is drawn last, above the others.
  lines.sort(
    (a, b) => Number(a.run.id === active) - Number(b.run.id === active)
  );
  return (
    <div className="snapml-Parallel" ref={frame}>
      {width > 0 && (
        <svg
          width={all}
          height={HEIGHT}
          role="img"
          data-testid="snapml-parallel"
          aria-label={trans.__(
            'Parallel coordinates of %1 runs over %2; the table below has every value.',
            runs.length,
            axes.map(axis => axis.name).join(', ')
          )}
          onPointerLeave={() => onActive(null)}
        >
          {axes.map((axis, index) => (
            <g key={`${axis.kind} ${axis.name}`} className="snapml-Axis">
              <line x1={x(index)} x2={x(index)} y1={y(0)} y2={y(1)} />
              <text
                className="snapml-Axis-name"
                x={x(index)}
                y={16}
                textAnchor="middle"
              >
                <title>{axis.name}</title>
                {short(axis.name)}
              </text>
              <text
                className="snapml-Axis-kind"
                x={x(index)}
                y={30}
                textAnchor="middle"
              >
                {[
                  axis.kind === 'param'
                    ? trans.__('parameter')
                    : trans.__('figure'),
                  axis.bent ? trans.__('log') : ''
                ]
                  .filter(Boolean)
                  .join(', ')}
              </text>
            </g>
          ))}
          {lines.map(({ run, hue, path }) => (
            <g
              key={run.id}
              data-testid="snapml-parallel-run"
              data-run={run.id}
              onPointerEnter={() => onActive(run.id)}
            >
              <path className="snapml-Parallel-reach" d={path} />
              <path
                className="snapml-Parallel-line"
                data-dim={active !== null && active !== run.id}
                data-active={active === run.id}
                d={path}
                style={strokeOf(hue)}
              >
                <title>{run.name}</title>
              </path>
            </g>
          ))}
          {axes.map((axis, index) => (
            <g
              key={`${axis.kind} ${axis.name}`}
              className="snapml-Axis snapml-Axis-marks"
            >
              {axis.marks.map(mark => (
                <text
                  key={mark.words}
                  x={x(index) + (index === axes.length - 1 ? 6 : -6)}
                  y={y(mark.at) + 3.5}
                  textAnchor={index === axes.length - 1 ? 'start' : 'end'}
                >
                  <title>{mark.words}</title>
                  {short(mark.words, 9)}
                </text>
              ))}
            </g>
          ))}
        </svg>
      )}
    </div>
  );
}

function short(text: string, most = LONGEST): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
