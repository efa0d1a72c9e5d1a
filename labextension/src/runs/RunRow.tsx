// One run in the sidebar: how it is, what it reached, and a mark to compare it by.

import React, { memo } from 'react';
import type { RunView } from '../api/generated.js';
import { STATE_ICONS } from '../icons.js';
import { useSection } from '../sections/context.js';
import { formatMoment, formatTime, stateWord } from '../sections/words.js';
import { keyFigures, shortId, shownState, tookText } from './words.js';

export interface RunRowProps {
  run: RunView;
  now: number;
  marked: boolean;
  onMark: (run: string, marked: boolean) => void;
  onOpen: (run: string) => void;
}

export const RunRow = memo(function RunRow(
  props: RunRowProps
): React.JSX.Element {
  const { run, now, marked, onMark, onOpen } = props;
  const { trans } = useSection();
  const state = shownState(run.state);
  const Icon = STATE_ICONS[state];
  const figures = keyFigures(run.metrics);
  const kind = run.parent === null ? run.kind : trans.__('nested %1', run.kind);
  const meta = [
    stateWord(state, trans),
    run.kind === 'run' && run.parent === null ? '' : kind,
    tookText(run, now, trans)
  ];
  return (
    <div
      className="snapml-Row snapml-RunRow"
      data-testid="snapml-run"
      data-run={run.id}
      data-state={state}
    >
      <input
        type="checkbox"
        checked={marked}
        aria-label={trans.__('Select %1 %2', run.name, shortId(run.id))}
        data-testid="snapml-run-mark"
        onChange={event => onMark(run.id, event.target.checked)}
      />
      <Icon.react
        tag="span"
        className={`snapml-Row-icon snapml-is-${state}`}
        aria-hidden
      />
      <div className="snapml-Row-body">
        <div className="snapml-Row-head">
          <button
            type="button"
            className="snapml-Named snapml-Row-name"
            dir="auto"
            title={run.name}
            data-testid="snapml-run-open"
            onClick={() => onOpen(run.id)}
          >
            {run.name}
          </button>
          <span
            className="snapml-Row-aside"
            title={formatTime(run.started_at) ?? undefined}
          >
            {formatMoment(run.started_at, now)}
          </span>
        </div>
        <div className="snapml-Row-words">
          {meta.filter(Boolean).join(' · ')}
        </div>
        {figures.length > 0 && (
          <div className="snapml-Figures">
            {figures.map(([name, value]) => (
              <span key={name} className="snapml-Figure" title={name}>
                <span className="snapml-Figure-name" dir="auto">
                  {name}
                </span>{' '}
                <span className="snapml-Figure-value">{value}</span>
              </span>
            ))}
          </div>
        )}
      </div>
    </div>
  );
});
