// What requests cost in the last days: the total, each group's part of it, and the latest ones.

import React from 'react';
import type { Costs, RequestView } from '../api/generated.js';
import { Choices } from '../sections/Choices.js';
import { useSection } from '../sections/context.js';
import { Line } from '../sections/Line.js';
import { Problem } from '../sections/Problem.js';
import { CostRows } from './CostRows.js';
import { formatCost } from './money.js';
import { Requests } from './Requests.js';
import { type By, GROUPS, type Total, total } from './totals.js';
import { byWord, failedText, requestsText, unknownText } from './words.js';

export interface CostPanelProps {
  /** Null before the first answer. */
  costs: Costs | null;
  requests: readonly RequestView[];
  /** Why there is no fresh answer; null where there is one. */
  problem: unknown;
  by: By;
  onBy: (by: By) => void;
  /** Show all of it in the main area. */
  onOpen: () => void;
}

export function CostPanel(props: CostPanelProps): React.JSX.Element {
  const { costs, requests, problem, by, onBy, onOpen } = props;
  const { trans } = useSection();
  return (
    <>
      <Problem
        error={problem}
        loaded={costs !== null}
        testid="snapml-cost-problem"
      />
      {costs === null ? (
        problem === null && (
          <p className="snapml-Quiet">{trans.__('Adding up…')}</p>
        )
      ) : costs.rows.length === 0 ? (
        <Welcome days={costs.days} />
      ) : (
        <>
          <Sum sum={total(costs.rows)} days={costs.days} />
          <Choices
            label={trans.__('What to add up by')}
            choices={GROUPS.map(group => [group, byWord(group, trans)])}
            chosen={by}
            onChoose={onBy}
            testid="snapml-cost-by"
          />
          <CostRows costs={costs} />
          <Requests requests={requests} />
          <div className="snapml-Cost-open">
            <button
              type="button"
              className="snapml-Link"
              data-testid="snapml-cost-open"
              onClick={onOpen}
            >
              {trans.__('Show all, with a forecast')}
            </button>
          </div>
        </>
      )}
    </>
  );
}

function Sum({ sum, days }: { sum: Total; days: number }): React.JSX.Element {
  const { requests, failed, unknown } = sum;
  const { trans } = useSection();
  return (
    <div className="snapml-Sum">
      <div className="snapml-Sum-line">
        <span className="snapml-Sum-amount" data-testid="snapml-cost-total">
          {formatCost(sum, trans)}
        </span>
        <span className="snapml-Row-aside">
          {trans.__('last %1 days', days)}
        </span>
      </div>
      <div className="snapml-Row-message">
        {requestsText(requests, trans)}
        {failed > 0 && `, ${failedText(failed, trans)}`}
        {unknown > 0 && (
          <>
            {', '}
            <strong>{unknownText(unknown, trans)}</strong>
          </>
        )}
      </div>
      {unknown === requests && (
        <>
          <div className="snapml-Row-message">
            {trans.__(
              'Say what an hour of this machine costs, and requests have a price from then on:'
            )}
          </div>
          <Line words="%snapml prices compute DOLLARS" />
        </>
      )}
    </div>
  );
}

function Welcome({ days }: { days: number }): React.JSX.Element {
  const { trans } = useSection();
  return (
    <div className="snapml-Welcome" data-testid="snapml-cost-none">
      <p>
        <strong>{trans.__('No requests in the last %1 days', days)}</strong>
      </p>
      <p>
        {trans.__('Ask a deployed LLM from a cell, and see what it takes:')}
      </p>
      <Line words="%%snapml ask --model NAME" />
    </div>
  );
}
