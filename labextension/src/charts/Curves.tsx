// Curves of runs, a chart a metric: smoothed together, each gone into by itself.

import React, { useEffect, useMemo, useState } from 'react';
import type { CurveList, CurveView } from '../api/generated.js';
import { useSection } from '../sections/context.js';
import { Problem } from '../sections/Problem.js';
import { formatCount } from '../sections/words.js';
import { LineChart } from './LineChart.js';
import type { Span } from './scale.js';

/** Milliseconds a slider rests before the ledger is asked. */
const REST_MS = 120;
/** Smoothing ends just below one, where a line would be flat. */
const STEPS = 20;

export interface CurvesProps {
  /** As they came with the page. */
  lists: readonly CurveList[];
  /** Ids of all runs; a run's place is its colour's number. */
  runs: readonly string[];
  active?: string | null;
}

export function Curves(props: CurvesProps): React.JSX.Element {
  const { lists, runs, active } = props;
  const { trans } = useSection();
  const [level, setLevel] = useState(0);
  const smooth = level === 0 ? 0 : 1 - (1 - level / STEPS) ** 2 - 0.001;
  return (
    <>
      <label className="snapml-Smooth">
        {trans.__('Smooth')}
        <input
          type="range"
          min={0}
          max={STEPS - 1}
          value={level}
          aria-label={trans.__('How much curves are smoothed')}
          data-testid="snapml-smooth"
          onChange={event => setLevel(Number(event.target.value))}
        />
        <output>{smooth.toFixed(2)}</output>
      </label>
      <div className="snapml-Charts">
        {lists.map(list => (
          <CurveChart
            key={list.metric}
            list={list}
            runs={runs}
            smooth={Math.max(0, smooth)}
            active={active}
          />
        ))}
      </div>
    </>
  );
}

function CurveChart(props: {
  list: CurveList;
  runs: readonly string[];
  smooth: number;
  active?: string | null;
}): React.JSX.Element {
  const { list, runs, smooth, active } = props;
  const { trans } = useSection();
  const [range, setRange] = useState<Span | null>(null);
  const { curves, problem } = useCurves(list, smooth, range);
  const hues = useMemo(
    () => curves.map(curve => Math.max(0, runs.indexOf(curve.run))),
    [curves, runs]
  );
  const many = curves.reduce((sum, curve) => sum + curve.number, 0);
  return (
    <figure className="snapml-Charts-one">
      <figcaption>
        <strong dir="auto">{list.metric}</strong>
        <span className="snapml-Row-aside">
          {trans._n('%2 point', '%2 points', many, formatCount(many))}
        </span>
        {range !== null && (
          <button
            type="button"
            className="snapml-Link"
            data-testid="snapml-chart-all"
            aria-label={trans.__('Show all steps of %1', list.metric)}
            onClick={() => setRange(null)}
          >
            {trans.__('Show all steps')}
          </button>
        )}
      </figcaption>
      <Problem error={problem} loaded testid="snapml-chart-problem" />
      <LineChart
        title={list.metric}
        curves={curves}
        hues={hues}
        range={range}
        onRange={setRange}
        active={active}
      />
    </figure>
  );
}

/** The curves as they came, or as the ledger smooths them or goes into a stretch of steps. */
function useCurves(
  list: CurveList,
  smooth: number,
  range: Span | null
): { curves: readonly CurveView[]; problem: unknown } {
  const { client, visible } = useSection();
  const [asked, setAsked] = useState<CurveList | null>(null);
  const [problem, setProblem] = useState<unknown>(null);
  const plain = smooth === 0 && range === null;
  const { metric } = list;
  const known = list.curves.map(curve => curve.run).join(' ');
  /** Whatever was logged since is worth another look. */
  const points = list.curves.reduce((sum, curve) => sum + curve.number, 0);
  const [start, stop] = range ?? [null, null];

  useEffect(() => {
    const [first, ...others] = known.split(' ');
    if (plain || !visible || first === '') {
      return undefined;
    }
    const ending = new AbortController();
    const { signal } = ending;
    const read = async (): Promise<void> => {
      try {
        const run: [string, ...string[]] = [first, ...others];
        const params = { metric, run, smooth, start, stop };
        const found = await client.call('runs/curve', params, { signal });
        if (!signal.aborted) {
          setAsked(found);
          setProblem(null);
        }
      } catch (error) {
        if (!signal.aborted) {
          setProblem(error);
        }
      }
    };
    const timer = window.setTimeout(() => void read(), REST_MS);
    return () => {
      window.clearTimeout(timer);
      ending.abort();
    };
  }, [client, visible, plain, metric, known, points, smooth, start, stop]);

  return plain
    ? { curves: list.curves, problem: null }
    : { curves: asked?.curves ?? list.curves, problem };
}
