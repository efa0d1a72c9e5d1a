// The latest requests, a few words each.

import React, { useId } from 'react';
import type { RequestView } from '../api/generated.js';
import { useSection } from '../sections/context.js';
import { formatLatency, formatMoment, formatTime } from '../sections/words.js';
import { useNow } from '../sections/useNow.js';
import { formatMoney } from './money.js';
import { endedWord, usageText } from './words.js';

export interface RequestsProps {
  /** Newest first. */
  requests: readonly RequestView[];
}

export function Requests(props: RequestsProps): React.JSX.Element | null {
  const { requests } = props;
  const { trans } = useSection();
  const heading = useId();
  const now = useNow(false);
  if (requests.length === 0) {
    return null;
  }
  return (
    <>
      <h3 className="snapml-Heading" id={heading}>
        {trans.__('Latest requests')}
      </h3>
      <ul className="snapml-Requests" role="list" aria-labelledby={heading}>
        {requests.map(request => (
          <RequestItem key={request.id} request={request} now={now} />
        ))}
      </ul>
    </>
  );
}

function RequestItem(props: {
  request: RequestView;
  now: number;
}): React.JSX.Element {
  const { request, now } = props;
  const { at, deployment, duration_ms: ms, cost_pico: cost, price } = request;
  const { trans } = useSection();
  const parts = [
    usageText(request, trans),
    formatLatency(ms, trans),
    cost === null ? trans.__('cost unknown') : formatMoney(BigInt(cost))
  ];
  return (
    <li
      className="snapml-Requests-item"
      role="listitem"
      data-testid="snapml-request"
      data-id={request.id}
      data-ended={request.ended}
    >
      <div className="snapml-Row-head">
        <span className="snapml-Requests-name" dir="auto" title={deployment}>
          {deployment}
        </span>
        <span className="snapml-Requests-ended">
          {endedWord(request, trans)}
        </span>
        <span className="snapml-Row-aside" title={formatTime(at) ?? undefined}>
          {formatMoment(at, now)}
        </span>
      </div>
      <div className="snapml-Row-message" title={price}>
        {parts.filter(Boolean).join(' · ')}
      </div>
    </li>
  );
}
