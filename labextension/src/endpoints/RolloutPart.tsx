// A rollout: the models behind one name beside each other, and the steps one can take, each told before it is taken.

import React, { useState } from 'react';
import type { EndpointView, Rollout } from '../api/generated.js';
import { confirmed } from '../pages/confirmed.js';
import { usePage } from '../pages/context.js';
import { TextField } from '../pages/Field.js';
import { Act, Part, Refusal } from '../pages/parts.js';
import { Table } from '../pages/Table.js';
import { useForm } from '../pages/useForm.js';
import { useSection } from '../sections/context.js';
import { formatCount } from '../sections/words.js';
import { formatShare } from './figures.js';
import {
  backOf,
  backText,
  backWord,
  canaryOf,
  chanceWord,
  differenceText,
  FIGURES,
  figureText,
  figureTitle,
  figureWord,
  intervalText,
  percentOf,
  promoteText,
  shadowOf,
  shareText
} from './rollout.js';

/** What goes is drained first, and what comes back has to get ready. */
const STEP_TIMEOUT_MS = 900_000;

type Step = 'promote' | 'back' | 'share';

export function RolloutPart(props: {
  endpoint: EndpointView;
  /** What each did; null until it was read, or where there is but one. */
  rollout: Rollout | null;
}): React.JSX.Element | null {
  const { endpoint, rollout } = props;
  const { trans } = useSection();
  const back = backOf(endpoint);
  if (back === null) {
    return null;
  }
  return (
    <Part title={trans.__('Rollout')} testid="snapml-rollout">
      {endpoint.targets.length > 1 && rollout !== null && (
        <Beside rollout={rollout} />
      )}
      {back.kind === 'before' && (
        <p className="snapml-Page-meta" dir="auto">
          {trans.__('%1 stood before.', back.model)}
        </p>
      )}
      <Steps endpoint={endpoint} />
    </Part>
  );
}

function Beside({ rollout }: { rollout: Rollout }): React.JSX.Element {
  const { trans } = useSection();
  const { targets, differences } = rollout;
  const role = (word: string): string =>
    word === 'stands'
      ? trans.__('stands')
      : word === 'canary'
        ? trans.__('canary')
        : word === 'shadow'
          ? trans.__('shadow')
          : word;
  return (
    <>
      <Table
        label={trans.__('The models beside each other')}
        numbers
        words={[1]}
        head={[
          trans.__('Model'),
          trans.__('Role'),
          trans.__('Share'),
          trans.__('Requests'),
          ...FIGURES.map(name => figureTitle(name, trans))
        ]}
        rows={targets.map(target => ({
          key: target.id,
          cells: [
            target.model,
            role(target.role),
            target.role === 'shadow'
              ? trans.__('a copy')
              : formatShare(target.share / 100),
            formatCount(target.requests),
            ...FIGURES.map(name => {
              const figure = target.figures.find(item => item.name === name);
              return (
                <React.Fragment key={name}>
                  {figureText(figure, trans)}
                  <div className="snapml-Row-message">
                    {intervalText(figure, trans)}
                  </div>
                </React.Fragment>
              );
            })
          ]
        }))}
      />
      {differences.length > 0 ? (
        <ul
          className="snapml-List snapml-Differs"
          role="list"
          aria-label={trans.__('What differs from the model that stands')}
        >
          {differences.map(item => {
            const name = FIGURES.find(each => each === item.figure);
            const target = targets.find(each => each.id === item.target);
            return (
              <li
                key={`${item.target} ${item.figure}`}
                role="listitem"
                dir="auto"
                data-chance={item.chance}
              >
                {trans.__(
                  '%1 differs in %2 by %3:',
                  target?.model ?? item.target,
                  name === undefined ? item.figure : figureWord(name, trans),
                  differenceText(item, trans)
                )}{' '}
                {item.chance ? (
                  chanceWord(item, trans)
                ) : (
                  <strong>{chanceWord(item, trans)}</strong>
                )}
              </li>
            );
          })}
        </ul>
      ) : (
        <p className="snapml-Quiet">
          {trans.__('Too few requests to compare.')}
        </p>
      )}
    </>
  );
}

function Steps({ endpoint }: { endpoint: EndpointView }): React.JSX.Element {
  const { name } = endpoint;
  const { trans, client } = useSection();
  const { reload } = usePage();
  const { frame, busy, faults, problem, send } = useForm(['percent'] as const);
  const [step, setStep] = useState<Step | null>(null);
  const canary = canaryOf(endpoint);
  const trial = canary ?? shadowOf(endpoint);
  const back = backOf(endpoint);
  const declared = canary === null ? '' : String(canary.share);
  // What is typed counts until it is set or left; otherwise the field follows what is declared.
  const [typed, setTyped] = useState<string | null>(null);
  const shown = typed ?? declared;
  const percent = percentOf(shown);
  const take = (
    which: Step,
    sure: () => Promise<boolean>,
    work: () => Promise<unknown>
  ): void =>
    void send({}, async () => {
      if (await sure()) {
        setStep(which);
        try {
          await work();
        } finally {
          reload();
        }
      }
    }).finally(() => setStep(null));
  const options = { timeout: STEP_TIMEOUT_MS };
  const promote = (): void =>
    take(
      'promote',
      () =>
        confirmed({
          title: trans.__('Promote %1?', canary?.model ?? ''),
          body: promoteText(endpoint, trans),
          keep: trans.__('Leave it'),
          go: trans.__('Promote')
        }),
      () => client.call('rollout/promote', { name }, options)
    );
  const rollBack = (): void =>
    take(
      'back',
      () =>
        confirmed({
          title: trans.__('Roll %1 back?', name),
          body: backText(endpoint, trans),
          keep: trans.__('Leave it'),
          go: trans.__('Roll back')
        }),
      () => client.call('rollout/back', { name }, options)
    );
  const share = (): void => {
    if (percent === null) {
      void send({ percent: trans.__('1 to 99 percent.') }, () =>
        Promise.resolve()
      );
      return;
    }
    take(
      'share',
      async () =>
        canary !== null ||
        (await confirmed({
          title: trans.__('Have the shadow answer?'),
          body: trans.__(
            '%1 answers %2% of the requests from now on: callers see its answers.',
            trial?.model ?? '',
            percent
          ),
          keep: trans.__('Leave it'),
          go: trans.__('Set share')
        })),
      async () => {
        await client.call('rollout/share', { name, percent }, options);
        setTyped(null);
      }
    );
  };
  return (
    <form
      ref={frame}
      className="snapml-Steps"
      aria-label={trans.__('Steps of the rollout')}
      onSubmit={event => event.preventDefault()}
    >
      <Refusal problem={problem} />
      {trial !== null && (
        <div className="snapml-Share">
          <TextField
            label={trans.__('Share of %1', trial.model)}
            unit={trans.__('% of the requests')}
            number
            value={shown}
            placeholder="10"
            fault={faults.percent}
            maxLength={4}
            testid="snapml-rollout-share"
            onChange={setTyped}
          />
          <input
            type="range"
            min={1}
            max={99}
            value={percent ?? 1}
            aria-label={trans.__('Share of %1 in percent', trial.model)}
            data-testid="snapml-rollout-slider"
            onChange={event => setTyped(event.target.value)}
          />
          <Act
            submit
            onClick={share}
            busy={busy}
            barred={
              canary !== null && percent === canary.share
                ? trans.__('That is its share.')
                : null
            }
            testid="snapml-rollout-set"
          >
            {trans.__('Set')}
          </Act>
          {percent !== null && (
            <span
              className="snapml-Row-message"
              dir="auto"
              data-testid="snapml-rollout-shares"
            >
              {shareText(endpoint, percent, trans)}
            </span>
          )}
        </div>
      )}
      <span className="snapml-Page-acts">
        {trial !== null && (
          <Act
            strong
            onClick={promote}
            busy={busy}
            barred={
              canary === null
                ? trans.__('A shadow gets a share of the requests first.')
                : null
            }
            testid="snapml-rollout-promote"
          >
            {trans.__('Promote…')}
          </Act>
        )}
        <Act onClick={rollBack} busy={busy} testid="snapml-rollout-back">
          {backWord(back, trans)}
        </Act>
      </span>
      {step !== null && (
        <p
          className="snapml-Quiet"
          role="status"
          data-testid="snapml-rollout-doing"
        >
          {step === 'promote'
            ? trans.__(
                'Promoting: what stood answers what it was sent, then stops…'
              )
            : step === 'back'
              ? trans.__(
                  'Rolling back: what comes gets ready, what goes answers what it was sent…'
                )
              : trans.__('Setting the share…')}
        </p>
      )}
    </form>
  );
}
