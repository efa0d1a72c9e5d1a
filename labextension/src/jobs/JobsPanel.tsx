// The section's frame: what the connection is like, which jobs to show, the jobs.

import React from 'react';
import { toProblem } from '../api/errors.js';
import type { IJobsModel } from '../tokens.js';
import { Choices } from '../sections/Choices.js';
import { useSection } from '../sections/context.js';
import { Line } from '../sections/Line.js';
import { JobList } from './JobList.js';
import type { Filter } from './tree.js';

export interface JobsPanelProps {
  model: IJobsModel;
  filter: Filter;
  onFilter: (filter: Filter) => void;
  /** What just changed, for those who listen. */
  announcement: string;
  /** What stands above the list. */
  queues: React.ReactNode;
}

export function JobsPanel(props: JobsPanelProps): React.JSX.Element {
  const { model, filter, onFilter, announcement, queues } = props;
  const { trans } = useSection();
  const { jobs, total, loaded, note, cancelling } = model;
  return (
    <>
      <Notice model={model} />
      {!loaded ? (
        model.connection === 'connecting' && (
          <p className="snapml-Quiet">{trans.__('Reading the jobs…')}</p>
        )
      ) : jobs.size === 0 ? (
        <>
          {queues}
          <Welcome />
        </>
      ) : (
        <>
          <FilterBar filter={filter} onFilter={onFilter} />
          {queues}
          {note !== null && note !== '' && (
            <p className="snapml-Quiet">{note}</p>
          )}
          <JobList
            jobs={jobs}
            cancelling={cancelling}
            filter={filter}
            current={model.connection === 'connected'}
          />
          {total > jobs.size && (
            <p className="snapml-Quiet">
              {trans.__('The latest %1 of %2 jobs.', jobs.size, total)}
            </p>
          )}
        </>
      )}
      <div className="snapml-heard" role="status" aria-live="polite">
        {announcement}
      </div>
    </>
  );
}

function Notice({ model }: { model: IJobsModel }): React.JSX.Element | null {
  const { trans } = useSection();
  const problem =
    model.refusal === null ? null : toProblem(model.refusal, trans);
  const fix = problem?.fix ?? null;
  const lost = model.connection === 'lost';
  if (!lost && problem === null) {
    return null;
  }
  return (
    <div className="snapml-Notice" role="status" data-testid="snapml-notice">
      {lost ? (
        <>
          <strong>{trans.__('Not connected')}</strong>
          <span>
            {model.loaded
              ? trans.__(
                  'This is the last known state. It will be current again by itself.'
                )
              : trans.__('The jobs will appear once the server answers.')}
          </span>
        </>
      ) : (
        <>
          <strong>{problem?.message}</strong>
          {fix !== null && <span>{fix}</span>}
        </>
      )}
    </div>
  );
}

function FilterBar(props: {
  filter: Filter;
  onFilter: (filter: Filter) => void;
}): React.JSX.Element {
  const { filter, onFilter } = props;
  const { trans } = useSection();
  const choices: [Filter, string][] = [
    ['all', trans.__('All')],
    ['live', trans.__('Live')],
    ['ended', trans.__('Ended')]
  ];
  return (
    <Choices
      label={trans.__('Which jobs to show')}
      choices={choices}
      chosen={filter}
      onChoose={onFilter}
      testid="snapml-filter"
    />
  );
}

function Welcome(): React.JSX.Element {
  const { trans } = useSection();
  return (
    <div className="snapml-Welcome" data-testid="snapml-welcome">
      <p>
        <strong>{trans.__('No jobs yet')}</strong>
      </p>
      <p>{trans.__('Whatever SnapML does for you shows up here, live.')}</p>
      <p>{trans.__('In a notebook, type once:')}</p>
      <Line words="%load_ext snapml_lab" />
      <p>
        {trans.__('Then train models on a table, say to predict column y:')}
      </p>
      <Line words="%snapml automl data.csv --target y" />
    </div>
  );
}
