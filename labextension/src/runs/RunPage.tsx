// All that is known of a run.

import React, { useMemo } from 'react';
import type { MetricView, RunPage as Page, RunView } from '../api/generated.js';
import { Curves } from '../charts/Curves.js';
import { formatNumber } from '../charts/scale.js';
import { STATE_ICONS } from '../icons.js';
import { Code, Diff } from '../pages/Code.js';
import { usePage } from '../pages/context.js';
import { Act, CellButton, Facts, Go, Part, Refusal } from '../pages/parts.js';
import { Table } from '../pages/Table.js';
import { useAction } from '../pages/useAction.js';
import { CopyButton } from '../sections/CopyButton.js';
import { useSection } from '../sections/context.js';
import { useNow } from '../sections/useNow.js';
import { formatCount, formatTime, stateWord } from '../sections/words.js';
import { RunNotes } from './RunNotes.js';
import {
  formatSize,
  isOpen,
  keyFigures,
  shortId,
  shownState,
  SYSTEM,
  tookText
} from './words.js';

/** What became of the cell since that somebody has to know. */
const CHANGED: ReadonlySet<string> = new Set(['changed', 'gone']);
/** Runs nested that are compared with one press. */
const MOST_COMPARED = 200;

export function RunPage({ run }: { run: Page }): React.JSX.Element {
  const { trans } = useSection();
  const { openModel, compare } = usePage();
  const own = run.figures.filter(({ name }) => !name.startsWith(SYSTEM));
  const machine = run.figures.filter(({ name }) => name.startsWith(SYSTEM));
  const params = Object.entries(run.params).sort(([a], [b]) =>
    a < b ? -1 : 1
  );
  const source =
    run.cell_id === null
      ? trans.__('Source that ran')
      : trans.__('Source of the cell');
  const nested = run.nested.map(({ id }) => id);
  const curves = useMemo(
    () => run.curves.map(curve => ({ metric: curve.metric, curves: [curve] })),
    [run]
  );
  const ids = useMemo(() => [run.id], [run]);
  return (
    <article className="snapml-Page-body" data-run={run.id}>
      <Head run={run} />
      {run.curves.length > 0 && (
        <Part title={trans.__('Curves')} testid="snapml-run-curves">
          <Curves lists={curves} runs={ids} />
        </Part>
      )}
      {(own.length > 0 || machine.length > 0) && (
        <Part title={trans.__('Figures')} testid="snapml-run-figures">
          {own.length > 0 && <Figures figures={own} />}
          {machine.length > 0 && (
            <details className="snapml-Fold">
              <summary>
                {trans.__('What it took of the machine (%1)', machine.length)}
              </summary>
              <Figures figures={machine} />
            </details>
          )}
        </Part>
      )}
      <div className="snapml-Page-columns">
        {params.length > 0 && (
          <Part title={trans.__('Parameters')} testid="snapml-run-params">
            <Table
              label={trans.__('Parameters')}
              head={[trans.__('Parameter'), trans.__('Value')]}
              rows={params.map(([name, value]) => ({
                key: name,
                cells: [name, value]
              }))}
            />
          </Part>
        )}
        <Part title={trans.__('Where it came from')} testid="snapml-run-origin">
          <Origin run={run} />
        </Part>
        <RunNotes run={run} />
        {run.models.length > 0 && (
          <Part title={trans.__('Models')} testid="snapml-run-models">
            <ul className="snapml-List">
              {run.models.map(model => (
                <li key={model}>
                  <Go onClick={() => openModel(model)}>{model}</Go>
                </li>
              ))}
            </ul>
          </Part>
        )}
        {run.artifacts.length > 0 && <Artifacts run={run} />}
      </div>
      {run.nested.length > 0 && (
        <Part
          title={trans.__('Nested runs (%1)', run.nested.length)}
          testid="snapml-run-nested"
          aside={
            nested.length > 1 && (
              <Act
                onClick={() => compare(nested.slice(0, MOST_COMPARED))}
                testid="snapml-nested-compare"
              >
                {trans.__('Compare them')}
              </Act>
            )
          }
        >
          <Nested runs={run.nested} />
        </Part>
      )}
      {run.source !== null && (
        <Part title={source} testid="snapml-run-source">
          <Code text={run.source} label={source} />
        </Part>
      )}
      {run.diff !== null && (
        <Part
          title={trans.__('Changes that were not committed')}
          testid="snapml-run-diff"
        >
          <Diff
            text={run.diff}
            label={trans.__('Changes that were not committed')}
          />
        </Part>
      )}
    </article>
  );
}

function Head({ run }: { run: Page }): React.JSX.Element {
  const { trans, client, visible } = useSection();
  const { reload, showJob } = usePage();
  const { busy, problem, act } = useAction();
  const now = useNow(visible && isOpen(run.state));
  const state = shownState(run.state);
  const Icon = STATE_ICONS[state];
  const away = run.deleted_at !== null;
  const { job } = run;
  const since = CHANGED.has(run.since) ? run.since_words : null;
  const toggle = (): void =>
    void act(async () => {
      const params = { run: [run.id] as [string] };
      await (away
        ? client.call('runs/restore', params)
        : client.call('runs/delete', params));
      reload();
    });
  return (
    <header className="snapml-Page-head" data-state={state}>
      <div className="snapml-Page-title">
        <Icon.react
          tag="span"
          className={`snapml-Row-icon snapml-is-${state}`}
          aria-hidden
        />
        <h1 dir="auto">{run.name}</h1>
        <span className="snapml-Page-acts">
          <CellButton notebook={run.notebook} cell={run.cell_id} />
          {job !== null && (
            <Act onClick={() => showJob(job)}>{trans.__('Show job')}</Act>
          )}
          {!away && (
            <Act onClick={toggle} busy={busy} testid="snapml-run-delete">
              {trans.__('Delete')}
            </Act>
          )}
        </span>
      </div>
      <p className="snapml-Page-meta">
        {[
          stateWord(state, trans),
          run.kind,
          shortId(run.id),
          formatTime(run.started_at),
          tookText(run, now, trans),
          run.actor === '' ? '' : trans.__('by %1', run.actor)
        ]
          .filter(Boolean)
          .join(' · ')}
      </p>
      <Refusal problem={problem} />
      {away && (
        <Flag testid="snapml-run-away">
          {trans.__('This run is put away: no list shows it.')}
          <Act onClick={toggle} busy={busy} testid="snapml-run-restore">
            {trans.__('Undo')}
          </Act>
        </Flag>
      )}
      {run.out_of_order === true && (
        <Flag testid="snapml-run-order">
          <strong>{trans.__('Cells ran out of order.')}</strong>
          {run.out_of_order_why !== null && (
            <span dir="auto">{run.out_of_order_why}</span>
          )}
        </Flag>
      )}
      {since !== null && (
        <Flag testid="snapml-run-since">
          <strong>{since}</strong>
          <span>{trans.__('What ran is kept below.')}</span>
        </Flag>
      )}
    </header>
  );
}

function Flag(props: {
  testid: string;
  children: React.ReactNode;
}): React.JSX.Element {
  return (
    <div className="snapml-Flag" role="status" data-testid={props.testid}>
      {props.children}
    </div>
  );
}

function Figures(props: { figures: readonly MetricView[] }): React.JSX.Element {
  const { trans } = useSection();
  return (
    <Table
      label={trans.__('Figures')}
      numbers
      head={[
        trans.__('Figure'),
        trans.__('Last'),
        trans.__('Least'),
        trans.__('Greatest'),
        trans.__('Step'),
        trans.__('Points')
      ]}
      rows={props.figures.map(item => ({
        key: item.name,
        cells: [
          item.name,
          formatNumber(item.last, 6),
          formatNumber(item.low, 6),
          formatNumber(item.high, 6),
          formatCount(item.step),
          formatCount(item.number)
        ]
      }))}
    />
  );
}

function Origin({ run }: { run: Page }): React.JSX.Element {
  const { trans } = useSection();
  const { openRun, goToCell, canOpen } = usePage();
  const { notebook, cell_id: cell, parent } = run;
  const hash = (text: string | null): React.ReactNode =>
    text === null ? null : <code title={text}>{text.slice(0, 12)}</code>;
  return (
    <Facts
      facts={[
        [
          trans.__('Notebook'),
          notebook !== null && canOpen(notebook) ? (
            <Go onClick={() => goToCell(notebook, cell)}>{notebook}</Go>
          ) : (
            notebook
          )
        ],
        [
          trans.__('Execution'),
          run.execution_count === null ? null : `[${run.execution_count}]`
        ],
        [
          trans.__('Order'),
          run.out_of_order === null
            ? null
            : run.out_of_order
              ? trans.__('out of order')
              : trans.__('from top to bottom')
        ],
        [
          trans.__('Part of'),
          parent === null ? null : (
            <Go onClick={() => openRun(parent)}>
              {trans.__('run %1', shortId(parent))}
            </Go>
          )
        ],
        [trans.__('Data'), run.dataset_name ?? hash(run.dataset)],
        [trans.__('Git commit'), hash(run.git_commit)],
        [trans.__('Environment'), hash(run.environment)],
        [trans.__('Ended'), formatTime(run.ended_at)],
        [trans.__('Id'), <code key="id">{run.id}</code>]
      ]}
    />
  );
}

function Artifacts({ run }: { run: Page }): React.JSX.Element {
  const { trans } = useSection();
  return (
    <Part title={trans.__('Files')} testid="snapml-run-files">
      <Table
        label={trans.__('Files')}
        head={[
          trans.__('File'),
          trans.__('Size'),
          <span key="copy" className="snapml-heard">
            {trans.__('Line that fetches it')}
          </span>
        ]}
        rows={run.artifacts.map(item => ({
          key: item.name,
          cells: [
            item.folder ? `${item.name}/` : item.name,
            formatSize(item.size),
            <CopyButton
              key="copy"
              text={`%snapml runs fetch ${run.id} "${item.name}"`}
              label={trans.__('Copy the line that fetches %1', item.name)}
              testid="snapml-file-copy"
            />
          ]
        }))}
      />
    </Part>
  );
}

function Nested(props: { runs: readonly RunView[] }): React.JSX.Element {
  const { runs } = props;
  const { trans } = useSection();
  const { openRun } = usePage();
  const named = new Set<string>();
  for (const run of runs) {
    for (const [name] of keyFigures(run.metrics)) {
      named.add(name);
    }
  }
  const figures = [...named].sort().slice(0, 4);
  return (
    <Table
      label={trans.__('Nested runs')}
      head={[trans.__('Run'), trans.__('State'), ...figures]}
      rows={runs.map(run => ({
        key: run.id,
        cells: [
          <Go key="run" onClick={() => openRun(run.id)}>
            {run.name}
          </Go>,
          stateWord(shownState(run.state), trans),
          ...figures.map(name => formatNumber(run.metrics[name] ?? null))
        ]
      }))}
    />
  );
}
