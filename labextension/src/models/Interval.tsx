// A score on held-out rows with its 95% interval, beside the baseline's: said in words, and drawn.

import React from 'react';
import type { Measured } from '../api/generated.js';
import {
  formatNumber,
  place,
  roomy,
  type Span,
  spanOf
} from '../charts/scale.js';
import { useWidth } from '../charts/useWidth.js';
import { useSection } from '../sections/context.js';

const HEIGHT = 54;
const SIDE = 30;

export function Interval(props: { measured: Measured }): React.JSX.Element {
  const { metric, score, low, high, baseline } = props.measured;
  const { trans } = useSection();
  const [frame, width] = useWidth<HTMLDivElement>();
  const span = roomy(spanOf([score, low, high, baseline]) ?? [0, 1]);
  const to: Span = [SIDE, Math.max(SIDE + 1, Math.min(width, 520) - SIDE)];
  const x = (value: number): number => place(value, span, to);
  return (
    <div className="snapml-Interval" ref={frame}>
      <p>
        <strong>
          {metric} {formatNumber(score)}
        </strong>
        {', '}
        {trans.__(
          '95% interval %1 to %2, on rows it was not made with.',
          formatNumber(low),
          formatNumber(high)
        )}{' '}
        {baseline !== null &&
          trans.__(
            'The baseline has %1 on the same rows.',
            formatNumber(baseline)
          )}
      </p>
      {width > 0 && (
        <svg width={Math.min(width, 520)} height={HEIGHT} aria-hidden>
          <line
            className="snapml-Interval-axis"
            x1={to[0]}
            x2={to[1]}
            y1={20}
            y2={20}
          />
          <line
            className="snapml-Interval-reach"
            x1={x(low)}
            x2={x(high)}
            y1={20}
            y2={20}
          />
          <circle cx={x(score)} cy={20} r={5} />
          <text x={x(score)} y={44} textAnchor="middle">
            {trans.__('model')}
          </text>
          {baseline !== null && (
            <>
              <line
                className="snapml-Interval-baseline"
                x1={x(baseline)}
                x2={x(baseline)}
                y1={11}
                y2={29}
              />
              {Math.abs(x(baseline) - x(score)) > 60 && (
                <text x={x(baseline)} y={44} textAnchor="middle">
                  {trans.__('baseline')}
                </text>
              )}
            </>
          )}
        </svg>
      )}
    </div>
  );
}
