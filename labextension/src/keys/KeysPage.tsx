// The gateway's API keys: who has one, what each may, new ones and their end.

import React, { useId, useState } from 'react';
import type { KeyList, KeysCreateParams } from '../api/generated.js';
import { usePage } from '../pages/context.js';
import { Act, Part, Refusal } from '../pages/parts.js';
import { useAction } from '../pages/useAction.js';
import { useSection } from '../sections/context.js';
import { CopyButton } from '../sections/CopyButton.js';
import { useNow } from '../sections/useNow.js';
import { formatMoment } from '../sections/words.js';
import {
  bounded,
  factsOf,
  type Key,
  limitsText,
  scopesText,
  sorted,
  standingOf,
  standingWord
} from './standing.js';

const ROLES: readonly NonNullable<KeysCreateParams['role']>[] = [
  'viewer',
  'developer',
  'approver',
  'admin'
];

/** A key that was just made: its text is here and nowhere else. */
interface Made {
  readonly name: string;
  readonly secret: string;
}

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
          <Keys keys={shown} now={now} onRevoke={props.onRevoke} />
        )}
      </Part>
    </article>
  );
}

function Keys(props: {
  keys: readonly Key[];
  now: number;
  onRevoke: (key: Key) => Promise<void>;
}): React.JSX.Element {
  const { keys, now, onRevoke } = props;
  const { trans } = useSection();
  const { busy, problem, act } = useAction();
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
              onRevoke={() => void act(() => onRevoke(key))}
            />
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
  onRevoke: () => void;
}): React.JSX.Element {
  const { known, now, busy, onRevoke } = props;
  const { name, prefix, role, actor, project } = known;
  const { trans } = useSection();
  const standing = standingOf(known, now);
  const facts = factsOf(known, now, trans);
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
        {known.revoked_at === null && (
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
    </>
  );
}

/** The text of a new key, until the reader has it. */
function Secret(props: { made: Made; onDone: () => void }): React.JSX.Element {
  const { made, onDone } = props;
  const { trans } = useSection();
  return (
    <div
      className="snapml-Flag snapml-is-good snapml-Secret"
      role="status"
      data-testid="snapml-key-secret"
    >
      <span>
        {trans.__(
          'This is the key of %1. It is shown this once: keep it in an environment variable, not in a notebook.',
          made.name
        )}
      </span>
      <code
        tabIndex={0}
        role="textbox"
        aria-readonly
        aria-label={trans.__('Key')}
      >
        {made.secret}
      </code>
      <span className="snapml-Page-acts">
        <CopyButton
          text={made.secret}
          label={trans.__('Copy the key of %1', made.name)}
          testid="snapml-key-copy"
        />
        <Act onClick={onDone} testid="snapml-key-kept">
          {trans.__('I have it')}
        </Act>
      </span>
    </div>
  );
}

function KeyForm(props: {
  /** With the key that was made; without one where it was left. */
  onDone: (made: Made | null) => void;
}): React.JSX.Element {
  const { onDone } = props;
  const { trans, client } = useSection();
  const { reload } = usePage();
  const { busy, problem, act } = useAction();
  const [name, setName] = useState('');
  const [role, setRole] = useState<(typeof ROLES)[number]>('developer');
  const [named, may] = [useId(), useId()];
  const make = (): void =>
    void act(async () => {
      const key = await client.call('keys/create', { name: name.trim(), role });
      reload();
      onDone({ name: key.name, secret: key.secret ?? '' });
    });
  return (
    <form
      className="snapml-Form"
      aria-label={trans.__('New key')}
      data-testid="snapml-key-form"
      onSubmit={event => event.preventDefault()}
      onKeyDown={event => {
        if (event.key === 'Escape') {
          event.stopPropagation();
          onDone(null);
        }
      }}
    >
      <Refusal problem={problem} />
      <label htmlFor={named}>{trans.__('Who or what it is for')}</label>
      <input
        id={named}
        autoFocus
        value={name}
        maxLength={100}
        autoComplete="off"
        data-testid="snapml-key-name"
        onChange={event => setName(event.target.value)}
      />
      <label htmlFor={may}>{trans.__('Role')}</label>
      <select
        id={may}
        value={role}
        data-testid="snapml-key-role"
        onChange={event => setRole(event.target.value as typeof role)}
      >
        {ROLES.map(one => (
          <option key={one} value={one}>
            {one === 'viewer'
              ? trans.__('viewer: lists models')
              : trans.__('%1: asks them, too', one)}
          </option>
        ))}
      </select>
      <span className="snapml-Page-acts">
        <Act
          strong
          submit
          onClick={make}
          busy={busy}
          barred={name.trim() === '' ? trans.__('Say who it is for.') : null}
          testid="snapml-key-make"
        >
          {trans.__('Make key')}
        </Act>
        <Act onClick={() => onDone(null)}>{trans.__('Leave it')}</Act>
      </span>
    </form>
  );
}
