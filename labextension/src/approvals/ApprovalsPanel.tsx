// The section's frame: a search, what waits for a word, and what was decided.

import React from 'react';
import type { PromotionView } from '../api/generated.js';
import { STATE_ICONS } from '../icons.js';
import { useSection } from '../sections/context.js';
import { Line } from '../sections/Line.js';
import { Problem } from '../sections/Problem.js';
import { SearchField } from '../sections/SearchField.js';
import { useNow } from '../sections/useNow.js';
import { formatMoment, formatTime } from '../sections/words.js';
import {
  beforeText,
  chosen,
  evidenceText,
  stageState,
  stageText,
  whatText
} from './words.js';

export interface ApprovalsPanelProps {
  /** Null before the first answers. */
  waiting: readonly PromotionView[] | null;
  latest: readonly PromotionView[];
  /** Why there is no fresh answer; null where there is one. */
  problem: unknown;
  search: string;
  onSearch: (text: string) => void;
  onOpen: (approval: string) => void;
}

export function ApprovalsPanel(props: ApprovalsPanelProps): React.JSX.Element {
  const { waiting, latest, problem, search, onSearch, onOpen } = props;
  const { trans } = useSection();
  const now = useNow(false);
  const all = (waiting?.length ?? 0) + latest.length;
  const shown = chosen(waiting ?? [], latest, search);
  const firstDone = shown.findIndex(item => item.state !== 'waiting');
  return (
    <>
      <Problem
        error={problem}
        loaded={waiting !== null}
        testid="snapml-approvals-problem"
      />
      {all > 0 && (
        <SearchField
          label={trans.__('Search approvals')}
          placeholder={trans.__('a model, an alias or a person')}
          value={search}
          onAsk={onSearch}
          testid="snapml-approvals-search"
        />
      )}
      {waiting === null
        ? problem === null && (
            <p className="snapml-Quiet">{trans.__('Reading the requests…')}</p>
          )
        : all === 0
          ? problem === null && <Welcome />
          : shown.length === 0 && (
              <p className="snapml-Quiet" role="status">
                {trans.__('No request fits.')}
              </p>
            )}
      <ul
        className="snapml-Rows snapml-Rows-long"
        role="list"
        aria-label={trans.__('Requests')}
      >
        {shown.map((item, index) => (
          <li key={item.id} role="listitem">
            {index === firstDone && index > 0 && (
              <div className="snapml-Part">{trans.__('Decided')}</div>
            )}
            <ApprovalRow item={item} now={now} onOpen={onOpen} />
          </li>
        ))}
      </ul>
    </>
  );
}

function ApprovalRow(props: {
  item: PromotionView;
  now: number;
  onOpen: (approval: string) => void;
}): React.JSX.Element {
  const { item, now, onOpen } = props;
  const { trans } = useSection();
  const state = stageState(item.state);
  const Icon = STATE_ICONS[state];
  const waits = item.state === 'waiting';
  const words = [
    stageText(item, trans),
    waits ? beforeText(item, trans) : '',
    waits ? evidenceText(item.evidence, trans) : ''
  ];
  return (
    <div
      className="snapml-Row"
      data-testid="snapml-approval"
      data-approval={item.id}
      data-state={item.state}
    >
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
            data-testid="snapml-approval-open"
            onClick={() => onOpen(item.id)}
          >
            {whatText(item)} → {item.target}
          </button>
          <span
            className="snapml-Row-aside"
            title={formatTime(item.at) ?? undefined}
          >
            {formatMoment(item.at, now)}
          </span>
        </div>
        <div className="snapml-Row-words">
          {words.filter(Boolean).join(' · ')}
        </div>
        <div className="snapml-Row-words" dir="auto">
          {item.comment === ''
            ? trans.__('asked by %1', item.actor)
            : trans.__('%1: “%2”', item.actor, item.comment)}
        </div>
        {waits && item.why_not !== null && (
          <div className="snapml-Row-words">{item.why_not}</div>
        )}
      </div>
    </div>
  );
}

function Welcome(): React.JSX.Element {
  const { trans } = useSection();
  return (
    <div className="snapml-Welcome" data-testid="snapml-approvals-none">
      <p>
        <strong>{trans.__('Nothing was asked for')}</strong>
      </p>
      <p>{trans.__('Ask for a model version to become the champion:')}</p>
      <Line words="%snapml promote NAME@VERSION --to champion" />
      <p>{trans.__('Say what evidence and whose word that takes:')}</p>
      <Line words="%snapml policies set model --approvers 1" />
    </div>
  );
}
