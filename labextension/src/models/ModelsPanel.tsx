// The section's frame: a search, and versions under their names.

import React, { memo, useState } from 'react';
import type { ModelList, ModelView } from '../api/generated.js';
import { useSection } from '../sections/context.js';
import { Line } from '../sections/Line.js';
import { Problem } from '../sections/Problem.js';
import { SearchField } from '../sections/SearchField.js';
import { useNow } from '../sections/useNow.js';
import { formatMoment, formatTime } from '../sections/words.js';
import { group, type Group, referenceOf, scoreText } from './groups.js';

export interface ModelsPanelProps {
  /** Null before the first answer. */
  list: ModelList | null;
  /** Why there is no fresh answer; null where there is one. */
  problem: unknown;
  search: string;
  /** Whether there may be more than are listed. */
  more: boolean;
  onSearch: (text: string) => void;
  onOpen: (model: string) => void;
  onMore: () => void;
}

export function ModelsPanel(props: ModelsPanelProps): React.JSX.Element {
  const { list, problem, search, more, onSearch, onOpen, onMore } = props;
  const { trans } = useSection();
  const now = useNow(false);
  const groups = group(list?.models ?? []);
  return (
    <>
      <Problem
        error={problem}
        loaded={list !== null}
        testid="snapml-models-problem"
      />
      {(groups.length > 0 || search !== '') && (
        <SearchField
          label={trans.__('Search models')}
          placeholder={trans.__('a part of a name')}
          value={search}
          onAsk={onSearch}
          testid="snapml-models-search"
        />
      )}
      {list === null
        ? problem === null && (
            <p className="snapml-Quiet">{trans.__('Reading the models…')}</p>
          )
        : groups.length === 0 &&
          (search === '' ? (
            <Welcome />
          ) : (
            <p className="snapml-Quiet" role="status">
              {trans.__('No model is called so.')}
            </p>
          ))}
      {groups.map(item => (
        <NamedModel key={item.name} group={item} now={now} onOpen={onOpen} />
      ))}
      {more && (
        <div className="snapml-More">
          <button type="button" className="snapml-Link" onClick={onMore}>
            {trans.__('Show more')}
          </button>
        </div>
      )}
    </>
  );
}

function NamedModel(props: {
  group: Group;
  now: number;
  onOpen: (model: string) => void;
}): React.JSX.Element {
  const { group: item, now, onOpen } = props;
  const { trans } = useSection();
  const [open, setOpen] = useState(false);
  const shown = [...item.standing, ...(open ? item.others : [])].sort(
    (a, b) => b.version - a.version
  );
  return (
    <ul
      className="snapml-Rows"
      role="list"
      aria-label={trans.__('Versions of %1', item.name)}
    >
      {shown.map(model => (
        <li key={model.id} role="listitem">
          <ModelRow model={model} now={now} onOpen={onOpen} />
        </li>
      ))}
      {item.others.length > 0 && (
        <li role="listitem" className="snapml-More">
          <button
            type="button"
            className="snapml-Link"
            aria-expanded={open}
            aria-label={
              open
                ? trans.__('Hide the other versions of %1', item.name)
                : trans._n(
                    '%1 more version of %2',
                    '%1 more versions of %2',
                    item.others.length,
                    item.name
                  )
            }
            onClick={() => setOpen(!open)}
          >
            {open
              ? trans.__('Hide the others')
              : trans._n(
                  '%1 more version',
                  '%1 more versions',
                  item.others.length
                )}
          </button>
        </li>
      )}
    </ul>
  );
}

const ModelRow = memo(function ModelRow(props: {
  model: ModelView;
  now: number;
  onOpen: (model: string) => void;
}): React.JSX.Element {
  const { model, now, onOpen } = props;
  const { trans } = useSection();
  const reference = referenceOf(model);
  const score = scoreText(model.evidence);
  return (
    <div
      className="snapml-Row snapml-ModelRow"
      data-testid="snapml-model"
      data-model={reference}
    >
      <div className="snapml-Row-body">
        <div className="snapml-Row-head">
          <button
            type="button"
            className="snapml-Named snapml-Row-name"
            dir="auto"
            title={reference}
            data-testid="snapml-model-open"
            onClick={() => onOpen(reference)}
          >
            {reference}
          </button>
          <span
            className="snapml-Row-aside"
            title={formatTime(model.created_at) ?? undefined}
          >
            {formatMoment(model.created_at, now)}
          </span>
        </div>
        {(model.aliases.length > 0 || model.stage === 'waiting') && (
          <div className="snapml-Chips">
            {model.aliases.map(alias => (
              <span key={alias} className="snapml-Chip" dir="auto">
                {alias}
              </span>
            ))}
            {model.stage === 'waiting' && (
              <span className="snapml-Chip snapml-is-open">
                {trans.__('waits for approval')}
              </span>
            )}
          </div>
        )}
        <div className="snapml-Row-words">
          {[model.task, model.format].join(' · ')}
        </div>
        {score !== '' && <div className="snapml-Figures">{score}</div>}
      </div>
    </div>
  );
});

function Welcome(): React.JSX.Element {
  const { trans } = useSection();
  return (
    <div className="snapml-Welcome" data-testid="snapml-models-none">
      <p>
        <strong>{trans.__('No models yet')}</strong>
      </p>
      <p>{trans.__('Have one found, with its evidence, to predict y:')}</p>
      <Line words="%snapml automl data.csv --target y" />
      <p>{trans.__('Or tune a small LLM on your own answers:')}</p>
      <Line words="%snapml finetune --data chats.jsonl" />
    </div>
  );
}
