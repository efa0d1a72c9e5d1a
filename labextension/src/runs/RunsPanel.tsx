// The section's frame: a search, what was found, and what can be done with those that are marked.

import React from 'react';
import type { RunList } from '../api/generated.js';
import { useSection } from '../sections/context.js';
import { Line } from '../sections/Line.js';
import { Problem } from '../sections/Problem.js';
import { SearchField } from '../sections/SearchField.js';
import { useNow } from '../sections/useNow.js';
import { RunRow } from './RunRow.js';
import { isOpen } from './words.js';

export interface RunsPanelProps {
  /** Null before the first answer. */
  list: RunList | null;
  /** Why there is no fresh answer; null where there is one. */
  problem: unknown;
  /** What is looked for; empty for all. */
  search: string;
  /** Why the search was refused; null where it was not. */
  refusal: unknown;
  history: readonly string[];
  marked: ReadonlySet<string>;
  onSearch: (text: string, meant: boolean) => void;
  onMark: (run: string, marked: boolean) => void;
  onClear: () => void;
  onOpen: (run: string) => void;
  onCompare: () => void;
  onMore: () => void;
}

export function RunsPanel(props: RunsPanelProps): React.JSX.Element {
  const { list, problem, search, refusal, history, marked } = props;
  const { trans, visible } = useSection();
  const runs = list?.runs ?? [];
  const now = useNow(visible && runs.some(run => isOpen(run.state)));
  const day = new Date(now).setHours(0, 0, 0, 0);
  return (
    <>
      <Problem
        error={problem}
        loaded={list !== null}
        testid="snapml-runs-problem"
      />
      {(runs.length > 0 || search !== '') && (
        <SearchField
          label={trans.__('Search runs')}
          placeholder={trans.__('a name, or metric.auc > 0.9')}
          value={search}
          onAsk={props.onSearch}
          history={history}
          problem={refusal}
          testid="snapml-runs-search"
        />
      )}
      {marked.size > 0 && (
        <div className="snapml-Marked" role="status">
          <span>{trans._n('%1 selected', '%1 selected', marked.size)}</span>
          <button
            type="button"
            className="snapml-Link"
            data-testid="snapml-runs-compare"
            aria-disabled={marked.size < 2}
            title={
              marked.size < 2 ? trans.__('Select two runs or more') : undefined
            }
            onClick={() => marked.size >= 2 && props.onCompare()}
          >
            {trans.__('Compare')}
          </button>
          <button
            type="button"
            className="snapml-Link"
            data-testid="snapml-runs-clear"
            onClick={props.onClear}
          >
            {trans.__('Select none')}
          </button>
        </div>
      )}
      {list === null
        ? problem === null && (
            <p className="snapml-Quiet">{trans.__('Reading the runs…')}</p>
          )
        : runs.length === 0 &&
          (search === '' ? (
            <Welcome />
          ) : (
            refusal === null && (
              <p
                className="snapml-Quiet"
                role="status"
                data-testid="snapml-runs-none-found"
              >
                {trans.__('No run fits.')}
              </p>
            )
          ))}
      <ul
        className="snapml-Rows snapml-Rows-long"
        role="list"
        aria-label={trans.__('Runs')}
      >
        {runs.map(run => (
          <li key={run.id} role="listitem">
            <RunRow
              run={run}
              now={isOpen(run.state) ? now : day}
              marked={marked.has(run.id)}
              onMark={props.onMark}
              onOpen={props.onOpen}
            />
          </li>
        ))}
      </ul>
      {list?.more === true && (
        <div className="snapml-More">
          <button
            type="button"
            className="snapml-Link"
            data-testid="snapml-runs-more"
            onClick={props.onMore}
          >
            {trans.__('Show more')}
          </button>
        </div>
      )}
    </>
  );
}

function Welcome(): React.JSX.Element {
  const { trans } = useSection();
  return (
    <div className="snapml-Welcome" data-testid="snapml-runs-none">
      <p>
        <strong>{trans.__('No runs yet')}</strong>
      </p>
      <p>{trans.__('Whatever you train is kept here once it is a run:')}</p>
      <Line words="with snap.run('first') as r: r.log(loss=0.1)" />
      <p>{trans.__('Or have scikit-learn and others recorded by itself:')}</p>
      <Line words="%snapml autolog" />
    </div>
  );
}
