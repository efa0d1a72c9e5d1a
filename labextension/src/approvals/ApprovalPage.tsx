// The whole story of a promotion: what is asked, on what evidence, who decided, and one's own word on it.

import React, { useId, useState } from 'react';
import type { FindingView, PromotionView } from '../api/generated.js';
import { STATE_ICONS } from '../icons.js';
import { usePage } from '../pages/context.js';
import { Act, CellButton, Facts, Go, Part, Refusal } from '../pages/parts.js';
import { useAction } from '../pages/useAction.js';
import { Line } from '../sections/Line.js';
import { useSection } from '../sections/context.js';
import { formatTime } from '../sections/words.js';
import { beforeText, stageState, stageText, whatText } from './words.js';

export function ApprovalPage(props: {
  promotion: PromotionView;
}): React.JSX.Element {
  const { promotion: item } = props;
  const { trans } = useSection();
  const { openModel, openApproval } = usePage();
  const state = stageState(item.state);
  const Icon = STATE_ICONS[state];
  const { restores, kind } = item;
  const reference = `${item.name}@${item.version}`;
  return (
    <article className="snapml-Page-body" data-approval={item.id}>
      <header className="snapml-Page-head" data-state={item.state}>
        <div className="snapml-Page-title">
          <Icon.react
            tag="span"
            className={`snapml-Row-icon snapml-is-${state}`}
            aria-hidden
          />
          <h1 dir="auto">
            {whatText(item)} → {item.target}
          </h1>
          <span className="snapml-Page-acts">
            <CellButton notebook={item.notebook} cell={item.cell_id} />
            {kind === 'model' && (
              <Act
                onClick={() => openModel(reference)}
                testid="snapml-approval-model"
              >
                {trans.__('Show model')}
              </Act>
            )}
          </span>
        </div>
        <p className="snapml-Page-meta" data-testid="snapml-approval-state">
          {[
            stageText(item, trans),
            beforeText(item, trans),
            trans.__('asked by %1', item.actor),
            formatTime(item.at)
          ]
            .filter(Boolean)
            .join(' · ')}
        </p>
        {item.comment !== '' && (
          <blockquote className="snapml-Said" dir="auto">
            {item.comment}
          </blockquote>
        )}
      </header>
      {item.state === 'waiting' && <Decide item={item} />}
      <Part title={trans.__('Evidence')} testid="snapml-approval-evidence">
        {item.evidence.length === 0 ? (
          <>
            <p className="snapml-Quiet">
              {trans.__('No check is asked for. A policy can ask for some:')}
            </p>
            <Line words={`%snapml policies set ${kind} --need CHECK`} />
          </>
        ) : (
          <ul className="snapml-Checks">
            {item.evidence.map(finding => (
              <Check key={finding.check} finding={finding} />
            ))}
          </ul>
        )}
      </Part>
      <Part title={trans.__('Decisions')} testid="snapml-approval-decisions">
        {item.decisions.length === 0 ? (
          <p className="snapml-Quiet">
            {item.needs === 0
              ? trans.__('Nobody had to approve.')
              : trans.__('Nobody has decided yet.')}
          </p>
        ) : (
          <ul className="snapml-List">
            {item.decisions.map(decision => (
              <li key={decision.actor}>
                <strong>
                  {decision.decision === 'approved'
                    ? trans.__('Approved')
                    : trans.__('Rejected')}
                </strong>{' '}
                {trans.__(
                  'by %1 (%2), %3',
                  decision.actor,
                  decision.role,
                  formatTime(decision.at) ?? ''
                )}
                {decision.comment !== '' && (
                  <blockquote className="snapml-Said" dir="auto">
                    {decision.comment}
                  </blockquote>
                )}
              </li>
            ))}
          </ul>
        )}
      </Part>
      <Part title={trans.__('On record')}>
        <Facts
          facts={[
            [trans.__('Made by'), item.author],
            [trans.__('Asked by'), item.actor],
            [trans.__('Decided'), formatTime(item.decided_at)],
            [
              trans.__('Goes back to'),
              restores === null ? null : (
                <Go onClick={() => openApproval(restores)}>
                  {restores.slice(-6)}
                </Go>
              )
            ],
            [
              trans.__('Content'),
              <code key="content" title={item.content}>
                {item.content.slice(0, 12)}
              </code>
            ],
            [trans.__('Id'), <code key="id">{item.id}</code>]
          ]}
        />
      </Part>
    </article>
  );
}

function Check({ finding }: { finding: FindingView }): React.JSX.Element {
  const { trans } = useSection();
  const { ok, check, found } = finding;
  return (
    <li data-ok={ok}>
      <span className="snapml-Check-sign" aria-hidden>
        {ok ? '✓' : '✗'}
      </span>
      <span>
        <strong>{ok ? trans.__('met:') : trans.__('missing:')}</strong>{' '}
        <code dir="auto">{check}</code>
        <span className="snapml-Check-found" dir="auto">
          {found}
        </span>
      </span>
    </li>
  );
}

function Decide({ item }: { item: PromotionView }): React.JSX.Element {
  const { trans, client } = useSection();
  const { reload } = usePage();
  const { busy, problem, act } = useAction();
  const [comment, setComment] = useState('');
  const [why, reason] = [useId(), useId()];
  const barred = item.can_decide
    ? null
    : (item.why_not ?? trans.__('You may not decide on this.'));
  const decide = (approve: boolean): void =>
    void act(async () => {
      const params = { request: item.id, comment };
      await client.call(approve ? 'approve' : 'reject', params);
      setComment('');
      reload();
    });
  const withdraw = (): void =>
    void act(async () => {
      await client.call('approvals/withdraw', { request: item.id });
      reload();
    });
  return (
    <Part title={trans.__('Your word')} testid="snapml-approval-decide">
      <form
        className="snapml-Form"
        aria-describedby={barred === null ? undefined : reason}
        onSubmit={event => event.preventDefault()}
      >
        <Refusal problem={problem} />
        {barred !== null && (
          <p
            id={reason}
            className="snapml-Flag"
            data-testid="snapml-approval-barred"
          >
            {barred}
          </p>
        )}
        {barred === null && (
          <>
            <label htmlFor={why}>{trans.__('Comment')}</label>
            <textarea
              id={why}
              rows={2}
              maxLength={2000}
              placeholder={trans.__('why, for who reads it later')}
              value={comment}
              data-testid="snapml-approval-comment"
              onChange={event => setComment(event.target.value)}
            />
          </>
        )}
        <span className="snapml-Page-acts">
          <Act
            strong
            busy={busy}
            barred={barred}
            onClick={() => decide(true)}
            testid="snapml-approve"
          >
            {trans.__('Approve')}
          </Act>
          <Act
            busy={busy}
            barred={barred}
            onClick={() => decide(false)}
            testid="snapml-reject"
          >
            {trans.__('Reject')}
          </Act>
          <Act busy={busy} onClick={withdraw} testid="snapml-withdraw">
            {trans.__('Take it back')}
          </Act>
        </span>
      </form>
    </Part>
  );
}
