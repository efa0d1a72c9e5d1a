// All that is known of a model version, and what can be done with it.

import React, { useId, useState } from 'react';
import type {
  ApprovalList,
  Card,
  LineageView,
  ModelView
} from '../api/generated.js';
import { History } from '../approvals/History.js';
import { usePage } from '../pages/context.js';
import { Act, CellButton, Facts, Part, Refusal } from '../pages/parts.js';
import { useAction } from '../pages/useAction.js';
import { useSection } from '../sections/context.js';
import { formatTime } from '../sections/words.js';
import { formatSize } from '../runs/words.js';
import { referenceOf } from './groups.js';
import { Interval } from './Interval.js';
import { LineagePicture } from './LineagePicture.js';

/** Aliases people promote to; any other can be typed. */
const TARGETS = ['champion', 'canary', 'staging'];
/** Starting an engine goes on in the background; being told so may take a moment. */
const DEPLOY_TIMEOUT_MS = 60_000;

export interface ModelPageProps {
  model: ModelView;
  /** Null until they were read. */
  card: Card | null;
  lineage: LineageView | null;
  approvals: ApprovalList | null;
  onDeployed: () => void;
}

export function ModelPage(props: ModelPageProps): React.JSX.Element {
  const { model, card, lineage, approvals } = props;
  const { trans } = useSection();
  const measured = card?.measured ?? null;
  return (
    <article className="snapml-Page-body" data-model={referenceOf(model)}>
      <Head model={model} onDeployed={props.onDeployed} />
      {measured !== null && (
        <Part title={trans.__('Evidence')} testid="snapml-model-evidence">
          <Interval measured={measured} />
        </Part>
      )}
      {lineage !== null && (
        <Part
          title={trans.__('Where it comes from, and where it went')}
          testid="snapml-model-lineage"
        >
          <LineagePicture lineage={lineage} />
        </Part>
      )}
      {approvals !== null && approvals.promotions.length > 0 && (
        <Part
          title={trans.__('Promotions of %1', model.name)}
          testid="snapml-model-promotions"
        >
          <History promotions={approvals.promotions} />
        </Part>
      )}
      {card !== null && (
        <Part title={trans.__('Model card')} testid="snapml-model-card">
          <p className="snapml-Page-summary" dir="auto">
            {card.summary}
          </p>
          <div className="snapml-Page-columns">
            <section>
              <h3>{trans.__('Known limits')}</h3>
              <ul className="snapml-Bullets">
                {(card.limits.length > 0
                  ? card.limits
                  : [trans.__('None are recorded.')]
                ).map(limit => (
                  <li key={limit} dir="auto">
                    {limit}
                  </li>
                ))}
              </ul>
            </section>
            {card.sections.map(section => (
              <section key={section.title}>
                <h3 dir="auto">{section.title}</h3>
                <Facts facts={section.rows.map(row => [row.name, row.value])} />
              </section>
            ))}
          </div>
        </Part>
      )}
    </article>
  );
}

function Head(props: {
  model: ModelView;
  onDeployed: () => void;
}): React.JSX.Element {
  const { model, onDeployed } = props;
  const { trans, client } = useSection();
  const { openRun } = usePage();
  const { busy, problem, act } = useAction();
  const [promoting, setPromoting] = useState(false);
  const [told, setTold] = useState('');
  const reference = referenceOf(model);
  const { run } = model;
  const deploy = (): void =>
    void act(async () => {
      const params = { model: reference, wait: false };
      const timeout = DEPLOY_TIMEOUT_MS;
      const made = await client.call('deploy', params, { timeout });
      setTold(trans.__('%1 is starting as %2.', reference, made.name));
      onDeployed();
    });
  return (
    <header className="snapml-Page-head">
      <div className="snapml-Page-title">
        <h1 dir="auto">{reference}</h1>
        <span className="snapml-Page-acts">
          <CellButton notebook={model.notebook} cell={model.cell_id} />
          {run !== null && (
            <Act onClick={() => openRun(run)} testid="snapml-model-run">
              {trans.__('Show run')}
            </Act>
          )}
          <Act onClick={deploy} busy={busy} testid="snapml-model-deploy">
            {trans.__('Deploy')}
          </Act>
          <Act
            strong
            onClick={() => setPromoting(!promoting)}
            testid="snapml-model-promote"
          >
            {trans.__('Promote…')}
          </Act>
        </span>
      </div>
      {model.aliases.length > 0 && (
        <div className="snapml-Chips" data-testid="snapml-model-aliases">
          {model.aliases.map(alias => (
            <span key={alias} className="snapml-Chip" dir="auto">
              {alias}
            </span>
          ))}
        </div>
      )}
      <p className="snapml-Page-meta">
        {[
          model.task,
          model.format,
          formatSize(model.size),
          formatTime(model.created_at),
          model.actor === '' ? '' : trans.__('by %1', model.actor)
        ]
          .filter(Boolean)
          .join(' · ')}
      </p>
      <Refusal problem={problem} />
      {told !== '' && (
        <div
          className="snapml-Flag snapml-is-good"
          role="status"
          data-testid="snapml-model-told"
        >
          {told}
        </div>
      )}
      {promoting && (
        <Promote
          reference={reference}
          onDone={words => {
            setPromoting(false);
            setTold(words);
          }}
        />
      )}
      <Note key={model.note} model={model} />
    </header>
  );
}

function Promote(props: {
  reference: string;
  /** What came of it, in words; empty where it was left. */
  onDone: (words: string) => void;
}): React.JSX.Element {
  const { reference, onDone } = props;
  const { trans, client } = useSection();
  const { reload, openApproval } = usePage();
  const { busy, problem, act } = useAction();
  const [target, setTarget] = useState(TARGETS[0]);
  const [comment, setComment] = useState('');
  const [list, to, why] = [useId(), useId(), useId()];
  const ask = (): void =>
    void act(async () => {
      const params = { what: reference, to: target.trim(), comment };
      const made = await client.call('promote', params);
      reload();
      if (made.state === 'applied') {
        onDone(trans.__('%1 is %2 now.', reference, made.target));
      } else {
        onDone('');
        openApproval(made.id);
      }
    });
  return (
    <form
      className="snapml-Form"
      aria-label={trans.__('Promote %1', reference)}
      data-testid="snapml-promote-form"
      onSubmit={event => event.preventDefault()}
    >
      <Refusal problem={problem} />
      <label htmlFor={to}>{trans.__('It is to be')}</label>
      <input
        id={to}
        autoFocus
        list={list}
        value={target}
        data-testid="snapml-promote-target"
        onChange={event => setTarget(event.target.value)}
      />
      <datalist id={list}>
        {TARGETS.map(name => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <label htmlFor={why}>{trans.__('Why')}</label>
      <textarea
        id={why}
        rows={2}
        maxLength={2000}
        placeholder={trans.__('for who decides, and who reads it later')}
        value={comment}
        data-testid="snapml-promote-comment"
        onChange={event => setComment(event.target.value)}
      />
      <span className="snapml-Page-acts">
        <Act
          strong
          submit
          onClick={ask}
          busy={busy}
          barred={target.trim() === '' ? trans.__('Name an alias.') : null}
          testid="snapml-promote-ask"
        >
          {trans.__('Ask for it')}
        </Act>
        <Act onClick={() => onDone('')}>{trans.__('Leave it')}</Act>
      </span>
    </form>
  );
}

function Note({ model }: { model: ModelView }): React.JSX.Element {
  const { trans, client } = useSection();
  const { reload } = usePage();
  const { busy, problem, act } = useAction();
  const [draft, setDraft] = useState<string | null>(null);
  if (draft === null) {
    return (
      <div className="snapml-Note">
        {model.note !== null && (
          <p dir="auto" data-testid="snapml-model-note">
            {model.note}
          </p>
        )}
        <button
          type="button"
          className="snapml-Link"
          data-testid="snapml-model-note-edit"
          onClick={() => setDraft(model.note ?? '')}
        >
          {model.note === null
            ? trans.__('Write a note')
            : trans.__('Edit note')}
        </button>
      </div>
    );
  }
  const save = (): void =>
    void act(async () => {
      const params = { model: referenceOf(model), text: draft };
      await client.call('models/note', params);
      reload();
    }).then(saved => {
      if (saved) {
        setDraft(null);
      }
    });
  return (
    <div className="snapml-Note">
      <Refusal problem={problem} />
      <textarea
        autoFocus
        rows={3}
        aria-label={trans.__('Note')}
        value={draft}
        data-testid="snapml-model-note-text"
        onChange={event => setDraft(event.target.value)}
        onKeyDown={event => {
          if (event.key === 'Escape') {
            event.stopPropagation();
            setDraft(null);
          }
        }}
      />
      <Act strong busy={busy} onClick={save} testid="snapml-model-note-save">
        {trans.__('Save')}
      </Act>
      <Act onClick={() => setDraft(null)}>{trans.__('Leave it')}</Act>
    </div>
  );
}
