// Runs beside each other: what differs, as a picture and as a table, their curves, their code and data.

import React, { useMemo, useState } from 'react';
import type { Difference, RunComparison } from '../api/generated.js';
import { Curves } from '../charts/Curves.js';
import { Swatch } from '../charts/LineChart.js';
import { axesOf, MOST_AXES } from '../charts/parallel.js';
import { ParallelChart } from '../charts/ParallelChart.js';
import { Diff } from '../pages/Code.js';
import { usePage } from '../pages/context.js';
import { Go, Part } from '../pages/parts.js';
import { useSection } from '../sections/context.js';
import { shortId } from './words.js';

/** What people look for first. */
const ORDER = ['metric', 'param', 'tag', 'origin'];

export function ComparePage(props: {
  comparison: RunComparison;
}): React.JSX.Element {
  const { runs, differences, same, code, data, curves } = props.comparison;
  const { trans } = useSection();
  const { openRun } = usePage();
  const [active, setActive] = useState<string | null>(null);
  const axes = useMemo(() => axesOf(differences), [differences]);
  const named = useMemo(
    () => runs.map(({ id, name }) => ({ id, name: `${name} ${shortId(id)}` })),
    [runs]
  );
  const ids = useMemo(() => runs.map(({ id }) => id), [runs]);
  const lists = useMemo(
    () =>
      curves.map(list => ({
        ...list,
        curves: list.curves.map(curve => ({
          ...curve,
          name: `${curve.name} ${shortId(curve.run)}`
        }))
      })),
    [curves]
  );
  const drawable = differences.filter(
    ({ kind, name }) =>
      (kind === 'param' || kind === 'metric') && !name.startsWith('system/')
  ).length;
  return (
    <article className="snapml-Page-body">
      <header className="snapml-Page-head">
        <div className="snapml-Page-title">
          <h1>{trans.__('%1 runs compared', runs.length)}</h1>
        </div>
        <ul
          className="snapml-Compared"
          role="list"
          aria-label={trans.__('Runs')}
          onPointerLeave={() => setActive(null)}
        >
          {named.map((run, index) => (
            <li
              key={run.id}
              role="listitem"
              data-testid="snapml-compared-run"
              data-run={run.id}
              data-active={run.id === active}
              onPointerEnter={() => setActive(run.id)}
              onFocus={() => setActive(run.id)}
              onBlur={() => setActive(null)}
            >
              <Swatch hue={index} of={runs.length} />
              <Go onClick={() => openRun(run.id)}>{run.name}</Go>
            </li>
          ))}
        </ul>
      </header>
      {axes.length > 1 && (
        <Part
          title={trans.__('Parameters and figures')}
          aside={
            drawable > MOST_AXES && (
              <span className="snapml-Row-aside">
                {trans.__('the first %1 of %2', MOST_AXES, drawable)}
              </span>
            )
          }
        >
          <ParallelChart
            axes={axes}
            runs={named}
            active={active}
            onActive={setActive}
          />
        </Part>
      )}
      {curves.length > 0 && (
        <Part title={trans.__('Curves')} testid="snapml-compare-curves">
          <Curves lists={lists} runs={ids} active={active} />
        </Part>
      )}
      <Part title={trans.__('Differences')} testid="snapml-differences">
        {differences.length > 0 && (
          <Differences
            differences={differences}
            runs={named}
            active={active}
            onActive={setActive}
          />
        )}
        {differences.some(({ kind }) => kind === 'metric') && (
          <p className="snapml-Quiet">
            {trans.__(
              'Each figure is one measurement: whether a difference could be chance is not known from these. Rows held out say so: models add --held-out, automl, eval --against.'
            )}
          </p>
        )}
        <p className="snapml-Quiet">
          {differences.length === 0
            ? trans.__('They differ in nothing that was recorded.')
            : trans._n(
                '%1 more recorded value is the same in all of them.',
                '%1 more recorded values are the same in all of them.',
                same
              )}
        </p>
      </Part>
      {data.length > 0 && (
        <Part title={trans.__('Data')} testid="snapml-compare-data">
          <ul className="snapml-List">
            {data.map(line => (
              <li key={line} dir="auto">
                {line}
              </li>
            ))}
          </ul>
        </Part>
      )}
      {code !== null && (
        <Part
          title={trans.__('Code')}
          testid="snapml-compare-code"
          aside={
            runs.length > 2 && (
              <span className="snapml-Row-aside">
                {trans.__('of the first two')}
              </span>
            )
          }
        >
          <Diff text={code} label={trans.__('How the code differs')} />
        </Part>
      )}
    </article>
  );
}

function Differences(props: {
  differences: readonly Difference[];
  runs: readonly { readonly id: string; readonly name: string }[];
  active: string | null;
  onActive: (run: string | null) => void;
}): React.JSX.Element {
  const { differences, runs, active, onActive } = props;
  const { trans } = useSection();
  const kinds: Record<string, string> = {
    metric: trans.__('figure'),
    param: trans.__('parameter'),
    tag: trans.__('tag'),
    origin: trans.__('origin')
  };
  const rank = (item: Difference): number => {
    const at = ORDER.indexOf(item.kind);
    const machine = item.name.startsWith('system/') ? ORDER.length : 0;
    return (at < 0 ? ORDER.length : at) + machine;
  };
  const sorted = [...differences].sort((a, b) => rank(a) - rank(b));
  return (
    <div
      className="snapml-Table-frame"
      tabIndex={0}
      role="region"
      aria-label={trans.__('Differences')}
    >
      <table className="snapml-Table snapml-Differences">
        <thead>
          <tr>
            <th scope="col">{trans.__('What')}</th>
            {runs.map((run, index) => (
              <th
                key={run.id}
                scope="col"
                data-active={run.id === active}
                onPointerEnter={() => onActive(run.id)}
                onPointerLeave={() => onActive(null)}
              >
                <Swatch hue={index} of={runs.length} />{' '}
                <span dir="auto">{run.name}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted.map(item => (
            <tr key={`${item.kind} ${item.name}`}>
              <th scope="row" dir="auto">
                {item.name}{' '}
                <span className="snapml-Row-aside">
                  {kinds[item.kind] ?? item.kind}
                </span>
              </th>
              {item.values.map((value, index) => (
                <td
                  key={runs[index].id}
                  data-active={runs[index].id === active}
                  dir="auto"
                  title={value ?? undefined}
                >
                  {value === null ? '–' : shortened(value)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Hashes and other long values: their beginning tells them apart. */
function shortened(value: string): string {
  return value.length > 40 ? `${value.slice(0, 12)}…` : value;
}
