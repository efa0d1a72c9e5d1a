// The gateway's API keys: who has one, what each may, new ones and their end.

import React, { useState } from 'react';
import type { KeyList } from '../api/generated.js';
import { SpentBar } from '../costs/SpentBar.js';
import { Act, Part, Refusal } from '../pages/parts.js';
import { useAction } from '../pages/useAction.js';
import { useSection } from '../sections/context.js';
import { useNow } from '../sections/useNow.js';
import { formatMoment } from '../sections/words.js';
import { KeyForm } from './KeyForm.js';
import { RotateForm } from './RotateForm.js';
import { type Made, Secret } from './Secret.js';
import {
  bounded,
  factsOf,
  type Key,
  limitsText,
  scopesText,
  sorted,
  standingOf,
  standingWord,
  limitOf
} from './standing.js';

export interface KeysPageProps {
  list: KeyList;
  /** Ask whether a key is to end, and end it; say whether it was. */
  onRevoke: (key: Key) => Promise<void>;
}

export function KeysPage(props: KeysPageProps): React.JSX.Element {
  const { trans } = useSection();
  const now = useNow(true);
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<Made | null>(null);
  const [all, setAll] = useState(false);
  const keys = sorted<Key>(props.list.keys, now);
  const living = keys.filter(key => standingOf(key, now) === 'living');
  const shown = all ? keys : living;
  const ended = keys.length - living.length;
  return (
    <article className="snapml-Page-body">
      <header className="snapml-Page-head">
        <div className="snapml-Page-title">
          <h1>{trans.__('API keys')}</h1>
          <span className="snapml-Page-acts">
            <Act
              strong
              onClick={() => setMaking(!making)}
              testid="snapml-keys-new"
            >
              {trans.__('New key…')}
            </Act>
          </span>
        </div>
        <p className="snapml-Page-meta">
          {trans.__(
            'Whoever asks an endpoint shows one. The gateway keeps only a hash of it.'
          )}
        </p>
        {made !== null && <Secret made={made} onDone={() => setMade(null)} />}
        {making && (
          <KeyForm
            onDone={key => {
              setMaking(false);
              setMade(key ?? made);
            }}
          />
        )}
      </header>
      <Part
        title={trans.__('Keys')}
        testid="snapml-keys-list"
        aside={
          ended > 0 ? (
            <button
              type="button"
              className="snapml-Link"
              aria-pressed={all}
              data-testid="snapml-keys-all"
              onClick={() => setAll(!all)}
            >
              {all
                ? trans.__('Hide those that ended')
                : trans.__('Show %1 that ended', ended)}
            </button>
          ) : undefined
        }
      >
        {shown.length === 0 ? (
          <p className="snapml-Quiet">{trans.__('There is no key in use.')}</p>
        ) : (
          <Keys
            keys={shown}
            now={now}
            onRevoke={props.onRevoke}
            onMade={setMade}
          />
        )}
      </Part>
    </article>
  );
}

function Keys(props: {
  keys: readonly Key[];
  now: number;
  onRevoke: (key: Key) => Promise<void>;
  onMade: (made: Made) => void;
}): React.JSX.Element {
  const { keys, now, onRevoke, onMade } = props;
  const { trans } = useSection();
  const { busy, problem, act } = useAction();
  const [rotating, setRotating] = useState<string | null>(null);
  return (
    <>
      <Refusal problem={problem} />
      <ul className="snapml-Keys" role="list" aria-label={trans.__('API keys')}>
        {keys.map(key => (
          <li key={key.id} role="listitem" data-testid="snapml-key">
            <OneKey
              known={key}
              now={now}
              busy={busy}
              rotating={rotating === key.id}
              onRotate={() => setRotating(rotating === key.id ? null : key.id)}
              onRevoke={() => void act(() => onRevoke(key))}
            />
            {rotating === key.id && (
              <RotateForm
                known={key}
                onDone={made => {
                  setRotating(null);
                  if (made !== null) {
                    onMade(made);
                  }
                }}
              />
            )}
          </li>
        ))}
      </ul>
    </>
  );
}

function OneKey(props: {
  known: Key;
  now: number;
  busy: boolean;
  /** Whether a new key is about to be made in its place. */
  rotating: boolean;
  onRotate: () => void;
  onRevoke: () => void;
}): React.JSX.Element {
  const { known, now, busy, rotating, onRotate, onRevoke } = props;
  const { name, prefix, role, actor, project } = known;
  const { trans } = useSection();
  const standing = standingOf(known, now);
  const facts = factsOf(known, now, trans);
  const use = limitOf(known);
  return (
    <>
      <div className="snapml-Key-head">
        <strong className="snapml-Key-name" dir="auto">
          {name}
        </strong>
        <code>{`${prefix}…`}</code>
        <span className="snapml-Chip">{role}</span>
        {standing !== 'living' && (
          <span className="snapml-Chip snapml-is-open">
            {standingWord(standing, trans)}
          </span>
        )}
        <span className="snapml-Key-acts">
          {standing === 'living' && (
            <button
              type="button"
              className="snapml-Link"
              aria-expanded={rotating}
              aria-label={trans.__('Rotate %1 (%2…)', name, prefix)}
              data-testid="snapml-key-rotate"
              onClick={onRotate}
            >
              {trans.__('Rotate…')}
            </button>
          )}
          {standing === 'living' && (
            <button
              type="button"
              className="snapml-Link"
              aria-disabled={busy}
              aria-label={trans.__('Revoke %1 (%2…)', name, prefix)}
              data-testid="snapml-key-revoke"
              onClick={() => !busy && onRevoke()}
            >
              {trans.__('Revoke…')}
            </button>
          )}
        </span>
      </div>
      <div className="snapml-Row-message" dir="auto">
        {[
          trans.__('made %1 by %2', formatMoment(known.created_at, now), actor),
          project ? trans.__('project %1', project) : '',
          ...facts
        ]
          .filter(Boolean)
          .join(' · ')}
      </div>
      {bounded(known) && (
        <div className="snapml-Row-message" dir="auto">
          {[scopesText(known, trans), limitsText(known, trans)]
            .filter(Boolean)
            .join(' · ')}
        </div>
      )}
      {use !== null && (
        <SpentBar label={trans.__('What %1 may spend', name)} use={use} />
      )}
    </>
  );
}
